/**
 * The stress test in its bounded form, in each way to start a program. In full, 10^6 calls each:
 *
 *   bun run test/stress/run.ts          mpirun -n 5 bun run test/stress/run.ts
 */
import { describe, expect } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "./contract/job.ts";
import { lane } from "./lane.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const RUN = join(import.meta.dir, "stress/run.ts");
const CALLS = lane === "full" ? 20_000 : 5_000;
/** Five processes on whatever cores there are, beside other tests. */
const LIMIT_MS = 120_000;

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().map((mode): Launch => ({ mode, ranks: 5 })),
];

describe("calls of random sizes and priorities, some cancelled, over four workers", () => {
  for (const launch of launches) {
    const { mode } = launch;
    const test = testsUnder(mode);
    test(
      `${mode}: every byte arrives, every handle settles, and memory is given back`,
      async () => {
        await using job = new Job(launch, RUN, { args: ["--calls", String(CALLS), "--seed", "7"] });
        await job.ended(LIMIT_MS);
        if (job.process.exitCode !== 0) throw new Error(`${job}`);
        const said = JSON.parse(job.stdout) as Record<string, number>;
        expect(said).toMatchObject({ mode, calls: CALLS, wrong: 0 });
        // Each way to end was taken by many.
        for (const end of ["done", "failed", "cancelled"]) expect(said[end]).toBeGreaterThan(100);
        await job.leftNothing();
      },
      LIMIT_MS + 10_000,
    );
  }
});
