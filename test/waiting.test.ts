/** The end of a job in which ranks wait for a pool that never comes, or come to it late. */
import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./contract/assert.ts";
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

  /** The minute after which who waits says so is a second of this clock. */
  const env = { BSYNC_TEST_CLOCK: "0.02" };

  /** Runs `deed`; once a rank has said for whom it waits, the gate is opened. */
  async function endOfAwaited(deed: string): Promise<{ job: Job; told: string }> {
    const folder = mkdtempSync(join(tmpdir(), "awaited-"));
    const gate = join(folder, "gate");
    try {
      await using job = new Job({ mode, ranks: 3 }, PROGRAM, {
        args: [deed],
        env: { ...env, GATE: gate },
      });
      await until("a rank to say so", () => job.stderr.includes("goes on waiting"), 20_000);
      const told = job.stderr;
      writeFileSync(gate, "");
      await job.ended(20_000);
      await job.leftNothing();
      return { job, told };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  for (const deed of ["awaited", "awaited after"]) {
    it(`${deed}: rank 0 comes late to open: it is waited for, and named`, async () => {
      const { job, told } = await endOfAwaited(deed);
      expect(told).toMatch(/bsync: rank 1 \(host .*\) has waited 1 s in .* for rank 0 \(/);
      // One of a host says so for all.
      expect(told.match(/goes on waiting/g)).toHaveLength(1);
      expect(job.stdout.trim()).toBe("4,9");
      expect(job.process.exitCode).toBe(0);
    });
  }

  it("a worker comes late to open, within openTimeout: it is waited for, and named", async () => {
    const { job, told } = await endOfAwaited("awaits a worker");
    expect(told).toMatch(
      /bsync: rank 0 \(host .*\) has waited 1 s in MPI_Init for rank 2 \(pid \d+\)/,
    );
    expect(job.stdout.trim()).toBe("4,9");
    expect(job.process.exitCode).toBe(0);
  });

  it("rank 0 ends with 0 before it comes: the job ends, and says why", async () => {
    const { job } = await endOfAwaited("leaves");
    expect(job.process.exitCode).not.toBe(0);
    expect(job.stderr).toContain("another rank has ended before it had started MPI");
  });

  it("rank 0 is killed before it comes: the job ends", async () => {
    const { job } = await endOfAwaited("is killed");
    expect(job.process.exitCode).not.toBe(0);
  });
});
