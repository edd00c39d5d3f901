/** The end of a job in which ranks wait for a pool that never comes, or come to it late. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Job } from "./contract/job.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "contract/fixtures/waiting.ts");
/** ms that the end of a job may take. */
const END_MS = 10_000;
const TEST_MS = 40_000;

describe.each(mpiFamilies())("%s, 3 ranks", (mode) => {
  const test = testsUnder(mode);
  async function endOf(deed: string): Promise<{ exitCode: number | null; lines: string[] }> {
    await using job = new Job({ mode, ranks: 3 }, PROGRAM, { args: [deed] });
    await job.ended(END_MS);
    await job.leftNothing();
    const lines = Bun.stripANSI(job.stdout).trim().split(/\r?\n/).sort();
    return { exitCode: job.process.exitCode, lines };
  }

  const it = (sentence: string, run: () => Promise<void>) => test(sentence, run, TEST_MS);

  it("rank 0 has only used bsync/mpi: the ranks that wait in open are let go", async () => {
    expect(await endOf("never")).toEqual({ exitCode: 0, lines: ["3"] });
  });

  it("rank 0 fails while the others come to open: the job ends with its code", async () => {
    expect((await endOf("fails")).exitCode).toBe(1);
  });

  it("a rank that comes to open when rank 0 is at its end is let go", async () => {
    expect(await endOf("late")).toEqual({ exitCode: 0, lines: ["9"] });
  });

  it("an unused rank that goes on when rank 0 is at its end is waited for", async () => {
    expect(await endOf("computes")).toEqual({ exitCode: 0, lines: ["9", "unused"] });
  });
});
