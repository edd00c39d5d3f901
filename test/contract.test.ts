/**
 * The contract, over every transport: one job for each way to start a program runs all the cases,
 * and here each case of each job is a test. A further binding runs cases inside of `bun test` itself.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { AsyncPool } from "../index.ts";
import { applies, LOCAL_WORKERS, type Place } from "./contract/case.ts";
import { CASES } from "./contract/cases/all.ts";
import { Job, type Launch } from "./contract/job.ts";
import type { Line } from "./contract/run.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const RUN = join(import.meta.dir, "contract/run.ts");
/** ms for all cases of one job. */
const JOB_MS = 120_000;

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().flatMap((mode) => [2, 3, 4].map((ranks) => ({ mode, ranks }))),
];

for (const launch of launches) {
  const { mode, ranks } = launch;
  const workers = mode === "local" ? LOCAL_WORKERS : ranks - 1;
  describe(mode === "local" ? "local processes" : `${mode}, ${ranks} ranks`, () => {
    let job: Job;
    const lines = new Map<string, Line>();
    let rest = "";

    beforeAll(async () => {
      job = new Job(launch, RUN);
      // What went wrong is for the tests to tell.
      await job.ended(JOB_MS).catch(() => {});
      for (const text of job.stdout.split("\n")) {
        if (text.startsWith('{"name":')) {
          const line = JSON.parse(text) as Line;
          lines.set(line.name, line);
        } else rest += text;
      }
    }, JOB_MS + 10_000);

    afterAll(() => job[Symbol.asyncDispose]());

    for (const { name } of CASES.filter((entry) => applies(entry, mode, workers))) {
      test(name, () => {
        const line = lines.get(name);
        if (line === undefined) throw new Error(`the job ended before, or hung here: ${end(job)}`);
        if (!line.ok) throw new Error(line.error);
      });
    }

    test("the job ends with exit code 0, and nobody said anything but rank 0", () => {
      expect(rest).toBe("");
      if (job.process.exitCode !== 0) throw new Error(end(job));
    });

    test("the job leaves nothing behind", () => job.leftNothing(), 10_000);
  });
}

function end({ process: { exitCode, signalCode }, stderr }: Job): string {
  return `exit code ${exitCode}, signal ${signalCode}, stderr: ${stderr.slice(-4_000)}`;
}

describe("inside of bun test", () => {
  const place: Place = { mode: "local", workers: LOCAL_WORKERS, main: null };
  const subjects = /^(calling|functions|errors|handles|priorities):/;
  for (const entry of CASES.filter((entry) => applies(entry, "local", LOCAL_WORKERS))) {
    if (entry.main || !subjects.test(entry.name)) continue;
    test(entry.name, async () => await entry.run(place), entry.limit ?? 10_000);
  }

  test("functions of a test file travel: top-level, inline, by name", async () => {
    await using pool = await AsyncPool.open(1);
    expect(await pool.async(topLevel, 3)).toBe(9);
    expect(await pool.async((x: number) => topLevel(x) + FACTOR, 3)).toBe(12);
  });
});

const FACTOR = 3;

function topLevel(x: number): number {
  return x * FACTOR;
}
