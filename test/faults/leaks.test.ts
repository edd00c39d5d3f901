/** A bounded look for leaks in each mode; `bun test/faults/leaks.ts` looks longer. */
import { expect } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "../contract/job.ts";
import { testsUnder } from "../setup/drawn.ts";
import { mpiFamilies } from "../setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "leaks.ts");
const LIMIT_MS = 90_000;

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().flatMap((mode) => [
    { mode, ranks: 3 },
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
  tests[launch.mode](
    `${mode}: tasks, pools and deaths leave nothing`,
    async () => {
      const args = ["--tasks", "10000", "--pools", "20", "--deaths", "20"];
      if (launch.isolated) args.push("--isolate");
      await using job = new Job(launch, PROGRAM, { args });
      await job.ended(LIMIT_MS);
      const { exitCode } = job.process;
      expect({ exitCode, stderr: job.stderr.slice(-4_000) }).toMatchObject({ exitCode: 0 });
      expect(job.stdout).toContain("nothing is left");
      await job.leftNothing();
    },
    LIMIT_MS + 10_000,
  );
}
