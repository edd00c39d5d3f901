/** Random operations on pools in each mode, getters that call back into them among these. `bun test/operations/run.ts` does more. */
import { expect } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "./contract/job.ts";
import { lane, seed } from "./lane.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const RUN = join(import.meta.dir, "operations/run.ts");

/** Operations of all jobs together, and of each pool. */
const [OPERATIONS, EACH] = lane === "full" ? [1e7, 5_000] : [1e4, 400];
const LIMIT_MS = lane === "full" ? 1_800_000 : 100_000;

const tests = {
  local: testsUnder("local"),
  openmpi: testsUnder("openmpi"),
  mpich: testsUnder("mpich"),
};

/** Each with its share of the operations: one is local, and of the others the middle lane draws two. */
const launches: [launch: Launch, share: number][] = [
  [{ mode: "local", ranks: 1 }, 0.6],
  ...mpiFamilies().flatMap((mode): [Launch, number][] => [
    [{ mode, ranks: 3 }, lane === "full" ? 0.1 : 0.2],
    [{ mode, ranks: 3, isolated: true }, lane === "full" ? 0.1 : 0.2],
  ]),
];

for (const [launch, share] of launches) {
  const mode = launch.isolated ? `${launch.mode}, isolated` : launch.mode;
  tests[launch.mode](
    `${mode}: each call becomes what the operations on it allow, and every pool closes`,
    async () => {
      const operations = `${Math.ceil(OPERATIONS * share)}`;
      const args = ["--operations", operations, "--each", `${EACH}`, "--seed", `${seed}`];
      if (launch.isolated) args.push("--isolate");
      await using job = new Job(launch, RUN, { args });
      await job.ended(LIMIT_MS);
      const { exitCode } = job.process;
      expect({ exitCode, stderr: job.stderr.slice(-4_000) }).toMatchObject({ exitCode: 0 });
      const tally = JSON.parse(job.stdout) as Record<string, number>;
      expect(tally.operations).toBeGreaterThanOrEqual(OPERATIONS * share);
      for (const outcome of ["done", "cancelled", "failed", "cannot travel"]) {
        expect(tally[outcome]).toBeGreaterThan(0);
      }
      await job.leftNothing();
    },
    LIMIT_MS + 10_000,
  );
}
