/** What holds of a whole program, and needs one of its own for each test. */
import { describe, expect } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mpirunProgram } from "../mpi/launch.ts";
import { REAL_CLOCK } from "../lane.ts";
import { testsUnder } from "../setup/drawn.ts";
import { mpiFamilies } from "../setup/mpi.ts";
import { LANE } from "../setup/variables.ts";
import type { Mode } from "./case.ts";
import { Job, type JobOptions, type Launch } from "./job.ts";
import type { Line } from "./runner.ts";

/** The slowest takes 15 s on a slow machine. */
const ENDED_MS = 40_000;

/** A program of its own, to its end. */
async function runProgram(
  launch: Launch,
  program: string,
  options: JobOptions = {},
): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  await using job = new Job(launch, join(import.meta.dir, "fixtures", program), options);
  await job.ended(ENDED_MS);
  await job.leftNothing();
  const { stdout, stderr } = job;
  return { exitCode: job.process.exitCode, stdout, stderr };
}

describe("programs of their own", () => {
  const families = mpiFamilies();
  const local: Launch = { mode: "local", ranks: 1 };
  const everywhere = [local, ...families.map((mode) => ({ mode, ranks: 2 }))];
  const itUnder = (mode: Mode) => {
    const test = testsUnder(mode);
    return (sentence: string, run: () => Promise<void>) => test(sentence, run, ENDED_MS + 10_000);
  };
  const it = itUnder("local");

  for (const launch of [local, ...families.map((mode) => ({ mode, ranks: 3 }))]) {
    const it = itUnder(launch.mode);
    it(`${launch.mode}: a main function that nobody awaits opens its pool once, and none on its workers`, async () => {
      const { exitCode, stdout, stderr } = await runProgram(launch, "unawaited.ts");
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      const opens = "opens a pool";
      const isRank = launch.mode !== "local";
      expect(linesOf(stdout).filter((line) => line === opens).length).toBeGreaterThanOrEqual(1);
      expect(linesOf(stdout).filter((line) => line !== opens)).toEqual(["[0,1]"]);
      // Each worker's run of the script comes as far as that, and each rank's own.
      expect(linesOf(stdout).length).toBeLessThanOrEqual(isRank ? 6 : 4);
    });
  }

  it("local: a process that takes in what was cancelled meanwhile is not ended", async () => {
    const { exitCode, stdout } = await runProgram(local, "arriving.ts", {
      env: REAL_CLOCK,
      args: ["cancelled"],
    });
    // Whether it runs depends on what is read first.
    expect(linesOf(stdout).at(-1)).toBe("true");
    expect(exitCode).toBe(0);
  });

  for (const mode of families) {
    const it = itUnder(mode);
    for (const ranks of [3, 4]) {
      it(`${mode}, ${ranks} ranks: keepUnused lets the ranks outside of the list go on`, async () => {
        const { exitCode, stdout } = await runProgram({ mode, ranks }, "unused.ts");
        const others = Array.from({ length: ranks - 2 }, (_, i) => i + 2);
        const expected = [
          "controller: 1,4,9",
          "rank 0 ends",
          ...others.flatMap((rank) => [`rank ${rank}: unused 0 refuses`, `rank ${rank} ends`]),
        ];
        expect(linesOf(stdout)).toEqual(expected.sort());
        expect(exitCode).toBe(0);
      });
    }

    it(`${mode}: two programs in one job, each the controller in turn, with functions of its own`, async () => {
      const bun = (name: string) => [process.execPath, join(import.meta.dir, "fixtures", name)];
      const both = [...bun("first.ts"), ":", "-n", "2", ...bun("second.ts")];
      const { exitCode, stdout, stderr } = await mpirunProgram(mode, 1, both);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      const first = "rank 0: first 0, first 0";
      expect(linesOf(stdout)).toEqual([first, first, "rank 2: second 2, second 2"]);
    });

    it(`${mode}: a job of one rank has local workers`, async () => {
      const { exitCode, stdout, stderr } = await runProgram({ mode, ranks: 1 }, "speaking.ts");
      expect(stdout).toContain("process of 1\n");
      expect(stderr).toContain("top of rank 0 of 1, MPI: false");
      expect(exitCode).toBe(0);
    });

    it(`${mode}: BSYNC_USE_MPI=0 makes programs of their own of the ranks`, async () => {
      const env = { BSYNC_USE_MPI: "0" };
      const { exitCode, stdout, stderr } = await runProgram({ mode, ranks: 2 }, "speaking.ts", {
        env,
      });
      expect(linesOf(stdout).filter((line) => line === "process of 1")).toHaveLength(2);
      expect(stderr).toContain("top of rank 0 of 1, MPI: false");
      expect(stderr).not.toContain("MPI: true");
      expect(exitCode).toBe(0);
    });

    it(`${mode}: BSYNC_CACHE_DIR is where the binding is kept`, async () => {
      await using folder = await temporaryFolder();
      const env = { BSYNC_CACHE_DIR: folder.path };
      const { exitCode } = await runProgram({ mode, ranks: 2 }, "speaking.ts", { env });
      expect(exitCode).toBe(0);
      expect(await Array.fromAsync(new Bun.Glob("**/*").scan(folder.path))).not.toEqual([]);
    });

    it(`${mode}: BSYNC_CHUNK_BYTES splits what is long`, async () => {
      const env = { BSYNC_CHUNK_BYTES: "10000", [LANE]: "full" };
      const args = [
        "values: buffers about",
        "values: a hundred",
        "values: a long text",
        "values: circles",
      ];
      const { stdout, exitCode } = await runProgram({ mode, ranks: 3 }, "../run.ts", { env, args });
      const lines = linesOf(stdout).map((text) => JSON.parse(text) as Line);
      expect(lines.filter(({ ok }) => !ok)).toEqual([]);
      expect(lines.length).toBeGreaterThan(3);
      expect(exitCode).toBe(0);
    });

    for (const kind of ["plain", "isolated"]) {
      it(`${mode}, ${kind}: what takes long to arrive is not taken back meanwhile, and runs once`, async () => {
        // Its turns are of a real length, and so are the looks at whether it moves.
        const options = { env: { ...REAL_CLOCK, BSYNC_CHUNK_BYTES: "1000" }, args: [kind] };
        const { exitCode, stdout } = await runProgram({ mode, ranks: 2 }, "arriving.ts", options);
        const runs = kind === "plain" ? ["runs"] : ["runs", "runs"];
        expect(linesOf(stdout)).toEqual([...runs, ...runs.map(() => "true")]);
        expect(exitCode).toBe(0);
      });
    }

    it(`${mode}: a setting that cannot be is told`, async () => {
      const wrong = { BSYNC_CHUNK_BYTES: "many", BSYNC_SPIN_US: "-1", BSYNC_HOST_TIMEOUT: "soon" };
      for (const [name, value] of Object.entries(wrong)) {
        const env = { [name]: value };
        const { exitCode, stderr } = await runProgram({ mode, ranks: 2 }, "speaking.ts", { env });
        expect(stderr).toContain(`${name}=${value}`);
        expect(exitCode).not.toBe(0);
      }
    });
  }

  it("BSYNC_USE_MPI=1 without a launcher is an MpiError that says so", async () => {
    const env = { BSYNC_USE_MPI: "1" };
    const { exitCode, stderr } = await runProgram(local, "speaking.ts", { env });
    expect(stderr).toMatch(/MpiError/);
    expect(stderr).toMatch(/mpirun/);
    expect(exitCode).toBe(1);
  });

  for (const launch of everywhere) {
    const it = itUnder(launch.mode);
    it(`${launch.mode}: what tasks write goes where the program's own words go`, async () => {
      const { exitCode, stdout, stderr } = await runProgram(launch, "speaking.ts");
      const expected = ["returned", "said by a task", "written by a task"];
      const last = launch.mode === "local" ? "process of 1" : "rank of 1";
      expect(linesOf(stdout)).toEqual([...expected, last].sort());
      expect(stderr).toContain("complained by a task");
      for (let rank = 0; rank < launch.ranks; rank++)
        expect(stderr).toContain(`top of rank ${rank} of`);
      expect(exitCode).toBe(0);
    });

    it(`${launch.mode}: functions of a module that the main script imports, and that imports it`, async () => {
      const { exitCode, stdout, stderr } = await runProgram(launch, "circle.ts");
      expect({ stdout, stderr }).toEqual({ stdout: "10,30,40,1003\n", stderr: "" });
      expect(exitCode).toBe(0);
    });

    it(`${launch.mode}: whatever tasks make of the globals, the pool goes on`, async () => {
      const { exitCode, stdout } = await runProgram(launch, "tampering.ts");
      const expected =
        launch.mode === "local" ? ["23 kinds, 0 wrong", "sum 89703"] : ["13 kinds, 0 wrong"];
      expect({ exitCode, lines: linesOf(stdout) }).toEqual({ exitCode: 0, lines: expected });
    });

    it(`${launch.mode}: a toJSON on every object touches neither workers nor values`, async () => {
      const { exitCode, stdout, stderr } = await runProgram(launch, "to-json.ts", {
        args: ["given"],
      });
      expect({ stdout, stderr }).toEqual({ stdout: "3 3 given\n", stderr: "" });
      expect(exitCode).toBe(0);
    });

    it(`${launch.mode}: a task that uses the variable of its pool is told what to do`, async () => {
      const { exitCode, stdout } = await runProgram(launch, "own-pool.ts");
      const told = Object.fromEntries(
        linesOf(stdout).map((line) => [line.split(" ")[0], line.slice(line.indexOf(" ") + 1)]),
      );
      const names = {
        ...{ declared: "pool", awaited: "workers", unset: "early", typed: "anyName" },
        ...{ text: "pool", named: "pool", inner: "inner" },
      };
      for (const [name, variable] of Object.entries(names)) {
        expect(told[name]).toContain(`it uses "${variable}", a pool`);
        expect(told[name]).toMatch(
          /^FunctionError: .* goes no further than AsyncPool\.open; submit/,
        );
      }
      expect(told["other"]).toMatch(
        /^FunctionError: .* uses "poolSize", which was not initialized/,
      );
      expect(told["parameter"]).toMatch(/^TypeError: undefined is not an object/);
      expect(exitCode).toBe(0);
    });

    it(`${launch.mode}: BSYNC_SPIN_US is taken`, async () => {
      const env = { BSYNC_SPIN_US: "0" };
      const { exitCode } = await runProgram(launch, "speaking.ts", { env });
      expect(exitCode).toBe(0);
    });

    it(`${launch.mode}: with code generation forbidden, exported and registered functions work`, async () => {
      const flags = ["--disallow-code-generation-from-strings"];
      const { exitCode, stdout } = await runProgram(launch, "sealed.ts", { flags });
      const [works, ...rest] = stdout.trim().split("\n");
      expect(works).toBe("works: 9,27,1004,4");
      const refused = rest.filter((line) => /^refused: .*(export|task\(\))/.test(line));
      expect({ refused: refused.length, rest }).toMatchObject({ refused: 3 });
      expect(rest[3]).toBe("late: TimeoutError");
      expect(rest[4]).toBe(launch.mode === "local" ? "after: 16" : undefined);
      expect(exitCode).toBe(0);
    });
  }
});

function linesOf(text: string): string[] {
  return text
    .split(/\r?\n/)
    .filter((line) => line !== "")
    .sort();
}

async function temporaryFolder(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), "contract-cache-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
