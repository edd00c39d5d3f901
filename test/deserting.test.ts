/**
 * A rank that serves and ends by itself, or never returns: what the job comes to, and what is said. With
 * `isolate` neither happens to a rank: see test/contract/cases/isolation.ts.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Job } from "./contract/job.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "contract/fixtures/deserting.ts");
/** ms that the end of a job may take. */
const END_MS = 10_000;
const TEST_MS = 40_000;

describe.each(mpiFamilies())("%s, 3 ranks", (mode) => {
  const test = testsUnder(mode);
  async function endOf(...args: string[]) {
    await using job = new Job({ mode, ranks: 3 }, PROGRAM, { args });
    await job.ended(END_MS);
    await job.leftNothing();
    const words = job.stderr.split(/\r?\n/).filter((line) => line.startsWith("bsync:"));
    return { exitCode: job.process.exitCode, stdout: job.stdout, stderr: job.stderr, words };
  }

  const deeds: [deed: string, task: string][] = [
    ["exit", "leave"],
    ["exit-later", "leaveLater"],
    ["exit-behind", "leaveBehind"],
  ];
  for (const [deed, task] of deeds) {
    for (const code of [3, 0]) {
      const ends = code === 0 ? 1 : code;
      test(
        `${deed} with ${code} in a task: the job ends with ${ends}, and one line says why`,
        async () => {
          const { exitCode, words } = await endOf(deed, `${code}`);
          expect(words).toHaveLength(1);
          expect(words[0]).toMatch(
            new RegExp(
              `^bsync: rank [12] \\(pid \\d+, host \\S+\\) ended with exit code ${code} in task 1 \\(${task}\\), ` +
                "and the job ends with it; .*isolate",
            ),
          );
          expect(exitCode).toBe(ends);
        },
        TEST_MS,
      );
    }
  }

  test.each(["SIGKILL", "SIGSEGV"])(
    "%s of a rank: the job ends, and not with 0",
    async (signal) => {
      const { exitCode } = await endOf("die", signal);
      expect(exitCode).not.toBe(0);
    },
    TEST_MS,
  );

  test(
    "a rank that never returns: its task is settled, the others go on, and nobody waits at the end",
    async () => {
      const { exitCode, stdout, words } = await endOf("block");
      expect({ exitCode, stdout, words }).toEqual({
        exitCode: 0,
        stdout: "true 1,4,9\n",
        words: [],
      });
    },
    TEST_MS,
  );
});
