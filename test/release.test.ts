/** Programs whose ranks go on after each pool, with `release`. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Job } from "./contract/job.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "contract/fixtures/releasing.ts");
/** ms that a job may take. */
const END_MS = 30_000;
const TEST_MS = 60_000;

interface Outcome {
  readonly exitCode: number | null;
  readonly lines: string[];
  readonly stderr: string;
}

describe.each(mpiFamilies())("%s", (mode) => {
  const test = testsUnder(mode);
  async function run(ranks: number, args: string[], act = (_: Job) => {}): Promise<Outcome> {
    await using job = new Job({ mode, ranks }, PROGRAM, { args });
    if (args[0] === "signal") {
      await job.said("ready");
      act(job);
    }
    await job.ended(END_MS);
    await job.leftNothing();
    const lines = Bun.stripANSI(job.stdout).trim().split(/\r?\n/);
    return { exitCode: job.process.exitCode, lines, stderr: job.stderr };
  }

  /** What a program says that ends well. */
  async function said(ranks: number, ...args: string[]): Promise<string[]> {
    const { exitCode, lines, stderr } = await run(ranks, args);
    if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${lines.join("\n")}\n${stderr}`);
    return lines;
  }

  const it = (sentence: string, deed: () => Promise<void>) => test(sentence, deed, TEST_MS);

  for (const [ranks, how, count] of [
    [2, "plain", 50],
    [3, "plain", 50],
    [5, "plain", 50],
    [3, "isolate", 10],
  ] as const) {
    it(`${ranks} ranks, ${how}: ${count} pools on other ranks each time, collectives between`, async () => {
      const [line = ""] = await said(ranks, "rounds", how);
      const of = (role: string) => (rank: number) => JSON.parse(line)[rank][role] ?? 0;
      expect(of("controller")(0)).toBe(count);
      for (let rank = 1; rank < ranks; rank++) {
        // Of five pools one is on all ranks, two are on the last one, two on the first that works.
        const worked = 1 + (rank === ranks - 1 ? 2 : 0) + (rank === 1 ? 2 : 0);
        expect(of("worker")(rank)).toBe((worked * count) / 5);
        expect(of("unused")(rank)).toBe(count - (worked * count) / 5);
      }
    });
  }

  for (const how of ["plain", "isolate"]) {
    it(`${how}: however a pool ends, or does not open, all ranks go on`, async () => {
      expect(await said(3, "ways", how)).toEqual([
        "controller 2, worker 0, worker 0",
        "controller 1, unused 0, worker 0",
        "controller 2, worker 0, unused 0",
        "controller 1, worker 0, unused 0",
        ...["RangeError", "none, worker 0, unused 0"],
        ...["TimeoutError", "none, worker 0, unused 0"],
        ...["RangeError", "none, unused 0, unused 0"],
        ...["TypeError", "none, worker 0, unused 0"],
        "controller 1, unused 0, worker 0",
      ]);
    });

    it(`${how}: two at once, closed in either order`, async () => {
      expect(await said(3, "overlapping", how)).toEqual([
        ...["9", "16", "controller 1, worker 0, unused 0"],
        ...["16", "9", "controller 1, worker 0, unused 0"],
        ...["25", "25", "controller 1, worker 0, unused 0", "controller 1, unused 0, worker 0"],
      ]);
    });

    it(`${how}: a rank whose pool is over goes on, though another one floods it`, async () => {
      expect(await said(3, "flooded", how)).toEqual(["controller 1, worker 0, unused 0"]);
    });

    it(`${how}: nothing of a pool stays with the ranks`, async () => {
      expect(await said(3, "traces", how)).toEqual(["as before", "as before", "as before"]);
    });
  }

  it("what is neither true nor false is the same error on every rank, and all go on", async () => {
    const error = "TypeError: Cannot open a pool: release must be true or false, got 1";
    expect(await said(3, "wrong")).toEqual([`true ${error}`, "9"]);
  });

  for (const [where, count] of [
    ["everywhere", 3],
    ["on rank 0", 1],
  ] as const) {
    it(`the same ${where}, and nothing else: the program ends well`, async () => {
      expect(await said(3, "wrong-only", where)).toEqual(Array(count).fill("TypeError"));
    });
  }

  it("what a task leaves behind does not end a rank that serves", async () => {
    expect(await said(3, "leaves")).toEqual(["9"]);
  });

  it("a rank that was let go ends the job as any program does: by an error, by its exit code", async () => {
    const thrown = await run(3, ["throws"]);
    expect(thrown.stderr).toContain("the program's own");
    expect(thrown.exitCode).toBe(1);
    expect((await run(3, ["exits"])).exitCode).toBe(3);
  });

  it("rank 0 ends while the others wait for a second pool: exit code 0", async () => {
    expect((await run(3, ["later-end"])).exitCode).toBe(0);
  });

  it("rank 0 throws between two pools: exit code 1, and the error", async () => {
    const { exitCode, stderr } = await run(3, ["later-throw"]);
    expect(stderr).toContain("the program's own");
    expect(exitCode).toBe(1);
  });

  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    for (const how of ["awaiting", "in a call", "at its end"]) {
      it(`${signal} of the launcher, the ranks having been let go, ${how}: nothing is left`, async () => {
        const kill = ({ process }: Job) => process.kill(signal);
        await run(3, ["signal", how], kill);
      });
    }
  }
});
