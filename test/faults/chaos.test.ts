/** Chaos in each mode, all at the same time. `bun test/faults/chaos.ts` runs longer. */
import { expect } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "../contract/job.ts";
import { lane, seed } from "../lane.ts";
import { testsUnder } from "../setup/drawn.ts";
import { mpiFamilies } from "../setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "chaos.ts");
/** Ten rounds take some seconds; in the full lane there are as many as half a minute has. */
const SECONDS = 30;
const LENGTH =
  lane === "full" ? ["--seconds", `${SECONDS}`] : ["--first", `${10 * seed}`, "--rounds", "10"];

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().flatMap((mode) => [
    { mode, ranks: 4 },
    { mode, ranks: 3, isolated: true },
  ]),
];

const tests = {
  local: testsUnder("local"),
  openmpi: testsUnder("openmpi"),
  mpich: testsUnder("mpich"),
};

for (const launch of launches) {
  const mode = launch.isolated ? `${launch.mode}, isolated` : launch.mode;
  const sentence = `${mode}: whatever is killed, stalled and cancelled, each handle tells one truth`;
  tests[launch.mode].concurrent(
    sentence,
    async () => {
      const args = [...LENGTH, "--seed", `${seed}`];
      if (launch.isolated) args.push("--isolate");
      await using job = new Job(launch, PROGRAM, { args });
      await job.ended(1_000 * SECONDS + 60_000);
      const { exitCode } = job.process;
      expect({ exitCode, stderr: job.stderr.slice(-4_000) }).toMatchObject({ exitCode: 0 });
      const { rounds, done } = JSON.parse(job.stdout) as { rounds: number; done: number };
      // Descriptors are counted after the fifth.
      expect(rounds).toBeGreaterThan(5);
      expect(done).toBeGreaterThan(20);
      await job.leftNothing();
    },
    1_000 * SECONDS + 90_000,
  );
}
