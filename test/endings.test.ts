/**
 * How programs end: each as a real process, in each way to start one. Within five seconds, with
 * the right exit code, and nothing left behind.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "./contract/job.ts";
import { FAILED_MS } from "../src/os/waits.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "contract/fixtures/ending.ts");
/** ms that an end may take. */
const END_MS = 5_000;
/** The same where others wait for a program that has failed: with clocks at full length that is longer. */
const FAILED_END_MS = Math.max(END_MS, FAILED_MS + END_MS / 2);
const TEST_MS = 40_000;

interface Ending {
  readonly exitCode: number | null;
  readonly signal: string | number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a deed; once the program is ready, `act` may help it to its end. */
async function endOf(
  launch: Launch,
  deed: string,
  act: (job: Job, pid: number) => void = () => {},
  endMs = END_MS,
): Promise<Ending> {
  await using job = new Job(launch, PROGRAM, { args: [deed, "2"] });
  await job.said("ready");
  act(job, Number(/ready (\d+)/.exec(job.stdout)?.[1]));
  await job.ended(endMs);
  await job.leftNothing();
  const { exitCode, signalCode } = job.process;
  return { exitCode, signal: signalCode, stdout: job.stdout, stderr: job.stderr };
}

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().map((mode) => ({ mode, ranks: 3 })),
];

for (const launch of launches) {
  const { mode, ranks } = launch;
  describe(mode === "local" ? "local processes" : `${mode}, ${ranks} ranks`, () => {
    const test = testsUnder(mode);
    const it = (sentence: string, run: () => Promise<void>) => test(sentence, run, TEST_MS);

    for (const deed of ["end", "end-closed", "end-after-get", "end-leaving", "end-bare"]) {
      it(`${deed}: exit code 0, and bsync says nothing`, async () => {
        const { exitCode, stdout, stderr } = await endOf(launch, deed);
        expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
        expect(stdout).toMatch(/^(9|300)\nready \d+\n$/);
        if (mode === "local") expect(stderr).toBe("");
        else expect(stderr).not.toMatch(/bsync/i);
      });
    }

    it("a worker does not come out of its exit handlers: it is ended, which is no failure", async () => {
      const { exitCode } = await endOf(launch, "end-stuck");
      expect(exitCode).toBe(0);
    });

    it("a process that was held when its pool was closed: exit code 0", async () => {
      const { exitCode, stdout } = await endOf(launch, "end-held");
      expect(stdout).toMatch(/^gone\nready \d+\n$/);
      expect(exitCode).toBe(0);
    });

    it("open is refused, and the program knows: exit code 0, and bsync says nothing", async () => {
      const { exitCode, stdout, stderr } = await endOf(launch, "caught");
      expect(stdout).toMatch(/^true\nready \d+\n$/);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    });

    it("throws, with tasks queued and running: exit code 1, and the error", async () => {
      const { exitCode, stderr } = await endOf(launch, "throw");
      expect(stderr).toContain("the program's own");
      expect(exitCode).toBe(1);
    });

    it("fails by what a task threw: exit code 1, and that error", async () => {
      const { exitCode, stderr } = await endOf(launch, "fail");
      expect(stderr).toContain("of a task");
      expect(exitCode).toBe(1);
    });

    it("rejects where nobody looks: exit code 1, and the error", async () => {
      const { exitCode, stderr } = await endOf(launch, "reject");
      expect(stderr).toContain("nobody looks at this");
      expect(exitCode).toBe(1);
    });

    for (const [deed, said] of [
      ["timer", "of a timer"],
      ["reject-waiting", "nobody looks at this"],
    ] as const) {
      it(`${deed}, while the main module awaits for ever: exit code 1, the error, and why`, async () => {
        const { exitCode, stderr } = await endOf(launch, deed, () => {}, FAILED_END_MS);
        expect(stderr).toContain(said);
        expect(stderr).toMatch(/bsync: the program has failed by the error above, .* exit code 1/);
        expect(exitCode).toBe(1);
      });
    }

    it("process.exit(3), with tasks queued and running: exit code 3", async () => {
      const { exitCode, stderr } = await endOf(launch, "exit");
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 3 });
    });

    it("process.exit(0), with tasks queued and running: exit code 0", async () => {
      const { exitCode, stderr } = await endOf(launch, "exit-0");
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    });

    const early: [deed: string, exitCode: number, said: string][] = [
      ["early-throw", 1, "before all else"],
      ["early-exit", 3, ""],
      ["early-option", 1, '"bogus"'],
      ["early-workers", 1, "got -1"],
    ];
    for (const [deed, code, said] of early) {
      it(`${deed}: the program ends before it has a pool: exit code ${code}`, async () => {
        const { exitCode, stderr } = await endOf(launch, deed);
        expect(stderr).toContain(said);
        expect({ exitCode, stderr }).toMatchObject({ exitCode: code });
      });
    }

    it("an exception leaves the block of await using: the tasks end, exit code 1", async () => {
      const { exitCode, stdout, stderr } = await endOf(launch, "using");
      expect(stdout).toContain("all done");
      expect(stderr).toContain("out of the block");
      expect(exitCode).toBe(1);
    });

    for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
      for (const deed of ["wait", "idle"]) {
        const state = deed === "wait" ? "with tasks queued and running" : "idle";
        it(`${signal} of the program, ${state}`, async () => {
          const ending = await endOf(launch, deed, (_, pid) => process.kill(pid, signal));
          if (mode === "local") expect(ending).toMatchObject({ signal });
          else expect(ending.exitCode).not.toBe(0);
        });
      }
    }

    // The exit code of a launcher that gets a signal itself is its own affair: MPICH's is 0 now and
    // then, whatever it ran.
    it("Ctrl-C to the whole process group", async () => {
      const ending = await endOf(launch, "wait", ({ process: { pid } }) =>
        process.kill(-pid, "SIGINT"),
      );
      if (mode === "openmpi") expect(ending.exitCode).not.toBe(0);
      if (mode === "local") expect(ending).toMatchObject({ signal: "SIGINT" });
    });

    if (mode === "local") {
      it("Ctrl-C is the program's own: its workers leave it to it, and finish", async () => {
        const { exitCode, stdout } = await endOf(launch, "interrupt", ({ process: { pid } }) =>
          process.kill(-pid, "SIGINT"),
        );
        expect(stdout).toContain("results 0,1\n");
        expect(exitCode).toBe(0);
      });

      it("Ctrl-C while the workers start does them no harm", async () => {
        await using job = new Job(launch, PROGRAM, { args: ["interrupt-opening", "3"] });
        await job.said("opening");
        process.kill(-job.process.pid, "SIGINT");
        await job.ended(END_MS);
        expect(job.stdout).toBe("opening\nresults 9,9,9\n");
        expect(job.process.exitCode).toBe(0);
        await job.leftNothing();
      });
      return;
    }

    for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
      it(`${signal} of the launcher, with tasks queued and running`, async () => {
        const ending = await endOf(launch, "wait", (job) => job.process.kill(signal));
        if (mode === "openmpi") expect(ending.exitCode).not.toBe(0);
      });
    }
  });
}
