/** Some seconds of interruptions in each mode, all at the same time. `bun test/faults/interrupted.ts` runs longer. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "../contract/job.ts";
import { lane, REAL_CLOCK, seed } from "../lane.ts";
import { mpiFamilies } from "../setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "interrupted.ts");
const SECONDS = lane === "full" ? 60 : 6;

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().map((mode): Launch => ({ mode, ranks: 2 })),
];

for (const launch of launches) {
  test.concurrent(
    `${launch.mode}: a timeout that strikes in the midst of bsync leaves it whole`,
    async () => {
      const args = ["--seconds", `${SECONDS}`, "--seed", `${seed}`];
      await using job = new Job(launch, PROGRAM, { args, env: REAL_CLOCK });
      await job.ended(1_000 * SECONDS + 60_000);
      const { exitCode } = job.process;
      expect({ exitCode, stderr: job.stderr.slice(-4_000) }).toMatchObject({ exitCode: 0 });
      const counts = Object.values(JSON.parse(job.stdout) as Record<string, number>);
      // Each deed twice at least, however slow the machine is.
      expect(Math.min(...counts)).toBeGreaterThan(1);
      expect(counts.length).toBe(launch.mode === "local" ? 14 : 25);
      await job.leftNothing();
    },
    1_000 * SECONDS + 90_000,
  );
}
