/**
 * How programs end while something is under way, whoever ends them: within five seconds, with the right
 * exit code, nothing left behind. (test/endings.test.ts has the plain cases.)
 */
import { describe, expect } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "../contract/job.ts";
import { SHARES } from "../lane.ts";
import { testsUnder } from "../setup/drawn.ts";
import { mpiFamilies } from "../setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "fixtures/ends.ts");
/** ms that an end may take. */
const END_MS = 5_000;
/** Jobs at a time. The tests wait for their turn, which counts as their time. */
const AT_ONCE = 3;
const TEST_MS = 200_000;

const turns = Array.from({ length: AT_ONCE }, () => Promise.resolve());

/** Runs `deed` when fewer than `AT_ONCE` others do. */
async function inTurn<T>(deed: () => Promise<T>): Promise<T> {
  const before = turns.shift()!;
  const { promise, resolve } = Promise.withResolvers<void>();
  turns.push(promise);
  await before;
  try {
    return await deed();
  } finally {
    resolve();
  }
}

interface Ending {
  readonly exitCode: number | null;
  readonly signal: string | number | null;
  readonly stderr: string;
}

interface Processes {
  readonly launcher: number;
  readonly program: number;
  readonly workers: readonly number[];
}

function endOf(
  launch: Launch,
  state: string,
  end: string,
  act: (processes: Processes) => void = () => {},
): Promise<Ending> {
  return inTurn(async () => {
    await using job = new Job(launch, PROGRAM, { args: [state, end] });
    await job.said("ready");
    await job.said("\n");
    const [program = 0, ...workers] = /ready ?(.*)/.exec(job.stdout)![1]!.split(" ").map(Number);
    act({ launcher: job.process.pid, program, workers });
    await job.ended(END_MS);
    await job.leftNothing();
    const { exitCode, signalCode } = job.process;
    return { exitCode, signal: signalCode, stderr: job.stderr };
  });
}

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().map((mode) => ({ mode, ranks: 3 })),
];
const SIGNALS = ["SIGINT", "SIGTERM", "SIGKILL"] as const;

for (const launch of launches) {
  const { mode, ranks } = launch;
  const test = testsUnder(mode, SHARES);
  const it = (sentence: string, run: () => Promise<void>) =>
    test.concurrent(sentence, run, TEST_MS);

  describe(mode === "local" ? "local processes" : `${mode}, ${ranks} ranks`, () => {
    for (const state of ["arriving", "closing", "terminating", "two pools"]) {
      for (const end of ["throw", "reject"]) {
        it(`${state}, ${end}: exit code 1, and the error`, async () => {
          const { exitCode, stderr } = await endOf(launch, state, end);
          expect(stderr).toContain("the program's own");
          expect({ exitCode, stderr }).toMatchObject({ exitCode: 1 });
        });
      }

      it(`${state}, process.exit(3): exit code 3`, async () => {
        const { exitCode, stderr } = await endOf(launch, state, "exit");
        expect({ exitCode, stderr }).toMatchObject({ exitCode: 3 });
      });

      for (const signal of SIGNALS) {
        it(`${state}, ${signal} to the program`, async () => {
          const ending = await endOf(launch, state, "wait", ({ program }) =>
            process.kill(program, signal),
          );
          if (mode === "local") expect(ending).toMatchObject({ signal });
          else expect(ending.exitCode).not.toBe(0);
        });
      }
    }
    if (mode === "local") return;

    // The exit code of a launcher that gets a signal itself is its own affair: MPICH's is 0 now and then.
    for (const signal of SIGNALS) {
      it(`arriving, ${signal} to the launcher`, async () => {
        const { exitCode } = await endOf(launch, "arriving", "wait", ({ launcher }) =>
          process.kill(launcher, signal),
        );
        if (mode === "openmpi") expect(exitCode).not.toBe(0);
      });
    }

    for (const signal of [...SIGNALS, "SIGSEGV"] as const) {
      for (const state of ["idle", "running", "queued", "arriving"]) {
        it(`${state}, ${signal} to a worker rank: the job ends, not with 0`, async () => {
          const { exitCode } = await endOf(launch, state, "wait", ({ workers }) =>
            process.kill(workers[1]!, signal),
          );
          expect(exitCode).not.toBe(0);
        });
      }
    }

    it("a worker rank throws before open: the job ends with its code, and its error", async () => {
      const { exitCode, stderr } = await endOf(launch, "throws before open", "wait");
      expect(stderr).toContain("of rank 1");
      expect(exitCode).toBe(1);
    });

    it("a worker rank exits with a code before open: the job ends with it", async () => {
      const { exitCode, stderr } = await endOf(launch, "exits before open", "wait");
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 5 });
    });

    it("a worker rank ends with 0 before open: the job ends, and says why", async () => {
      const { exitCode, stderr } = await endOf(launch, "ends before open", "wait");
      expect(exitCode).not.toBe(0);
      expect(stderr).not.toBe("");
    });

    it("a rank never calls open: the job ends after openTimeout, and says why", async () => {
      const { exitCode, stderr } = await endOf(launch, "never opens", "wait");
      expect(exitCode).not.toBe(0);
      expect(stderr).toContain("never called AsyncPool.open");
    });
  });
}
