/** What waits for seconds, at its real lengths: elsewhere the lanes that are not full shorten them. */
import { describe, expect } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "./contract/job.ts";
import type { Line } from "./contract/runner.ts";
import { REAL_CLOCK } from "./lane.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";
import { LANE } from "./setup/variables.ts";

const FAULTS = join(import.meta.dir, "faults/run.ts");
const CONTRACT = join(import.meta.dir, "contract/run.ts");
const END_MS = 60_000;

/** Between them these wait for each of the lengths in `src/os/waits.ts` that a running pool has. */
const CELLS = ["faults: stop, idle", "faults: stop, cancel, sync", "faults: cancel, native"];
const CASES = [
  "holding: calls that were sent behind one that holds",
  "timeouts: a rank that is stuck",
];

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().map((mode) => ({ mode, ranks: 3 })),
];

for (const launch of launches) {
  describe(launch.mode, () => {
    const test = testsUnder(launch.mode);
    for (const [script, names] of [
      [FAULTS, CELLS],
      [CONTRACT, CASES],
    ] as const) {
      test(
        `${names.join("; ")}`,
        async () => {
          const env = { ...REAL_CLOCK, [LANE]: "full" };
          await using job = new Job(launch, script, { env, args: names });
          await job.ended(END_MS);
          const lines = job.stdout.trim().split("\n");
          const played = lines.map((line) => JSON.parse(line) as Line);
          expect(played.filter(({ ok }) => !ok)).toEqual([]);
          expect(played.length).toBeGreaterThan(0);
          expect(job.process.exitCode).toBe(0);
          await job.leftNothing();
        },
        END_MS + 10_000,
      );
    }
  });
}
