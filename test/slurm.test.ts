/** Jobs that Slurm starts, on two nodes of its own (`slurm/slurm.ts`), under both MPIs. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { until } from "./contract/assert.ts";
import { Gate } from "./contract/gate.ts";
import type { HostJob } from "./hosts/cluster.ts";
import { testsUnder } from "./setup/drawn.ts";
import { findMpi, mpiFamilies } from "./setup/mpi.ts";
import { whyNoSlurm } from "./setup/slurm.ts";
import { Slurm } from "./slurm/slurm.ts";

setDefaultTimeout(60_000);

const ACROSS = join(import.meta.dir, "hosts/fixtures/across.ts");
const WAITING = join(import.meta.dir, "hosts/fixtures/waiting.ts");
const DRAINING = join(import.meta.dir, "contract/fixtures/draining.ts");
const STEPS = join(import.meta.dir, "slurm/fixtures/steps.ts");
const STEPS_SAID = "timeout\n[ 1, 1, 1 ]\n";

const reason = await whyNoSlurm();
const families = reason === null ? mpiFamilies() : [];
if (reason !== null) {
  const warn = (): void => console.error(`\n*** no tests under Slurm: ${reason} ***\n`);
  warn();
  afterAll(warn);
}

const slurm = families.length === 0 ? null : await Slurm.open();
afterAll(() => slurm?.[Symbol.asyncDispose]());

/** The only job there is. */
const jobId = async (): Promise<string> =>
  (await slurm!.run("squeue --noheader --format=%A")).trim();

/** Nothing of a job is left. */
const isOver = async (job: HostJob): Promise<void> => {
  await job.over();
  await until("all ranks to end", async () => (await slurm!.ranks()) === 0, 20_000);
  await until("Slurm to be idle", async () => (await jobId()) === "", 20_000);
};

for (const family of families) {
  describe(`srun, ${family}`, () => {
    const test = testsUnder(family);
    const four = ["--nodes=2", "--ntasks=4"];

    test("a pool and bsync/mpi across two nodes, isolated too", async () => {
      await using job = slurm!.srun(family, four, [ACROSS]);
      const { exitCode, stdout, stderr } = await job.ended();
      if (exitCode !== 0) throw new Error(`exit code ${exitCode}\n${stdout}\n${stderr}`);
      expect(JSON.parse(stdout)).toMatchObject({
        rank: 0,
        sum: 6,
        names: ["node1", "node1", "node1", "node2"],
        sound: true,
        each: ["node1", "node1", "node2"],
        children: ["node1", "node1", "node2"],
        squares: true,
        large: true,
        failed: 3,
        lost: expect.stringMatching(/\(rank \d, pid \d+, host node[12]\) exited with code 7/),
      });
    });

    test("a task that takes too long; a rank that ends by itself ends the step", async () => {
      using gate = new Gate();
      await using job = slurm!.srun(family, four, [STEPS, "leave", gate.path]);
      // Slurm drops what it has not passed on when a step comes to a bad end.
      await job.said(STEPS_SAID);
      gate.open();
      await isOver(job);
      const { exitCode, stdout, stderr } = await job.ended();
      expect(stdout).toBe(STEPS_SAID);
      expect(stderr).toMatch(/^bsync: rank \d \(pid \d+, host node[12]\) ended with exit code 3/m);
      expect(exitCode).not.toBe(0);
    });

    test("its mpirun in an allocation, on both nodes", async () => {
      const { mpirun } = findMpi(family)!;
      await using job = slurm!.launch("salloc", ...four, mpirun, process.execPath, "run", STEPS);
      const { exitCode, stdout, stderr } = await job.ended();
      expect({ exitCode, stdout, stderr }).toMatchObject({ exitCode: 0, stdout: STEPS_SAID });
    });

    test("a rank that is killed ends the step", async () => {
      await using job = slurm!.srun(family, [...four, "--kill-on-bad-exit"], [STEPS, "die"]);
      await isOver(job);
      const { exitCode, stderr } = await job.ended();
      expect(stderr).toMatch(/srun: error: node[12]: task \d: Killed/);
      expect(exitCode).not.toBe(0);
    });

    test.each(["TERM", "USR1"])("scancel --signal=%s drains", async (signal) => {
      await using job = slurm!.srun(family, ["--nodes=1", "--ntasks=3"], [DRAINING, "orderly"]);
      await job.said("ready");
      await slurm!.run(`scancel --signal=${signal} ${await jobId()}`);
      await isOver(job);
      const { exitCode, stdout } = await job.ended();
      expect(stdout).toEndWith(
        "queued: cancelled\nrunning: ended\nrunning: ended\nrefused: PoolClosedError\nclosed\n",
      );
      expect(exitCode).toBe(7);
    });

    test("scancel ends a job whose ranks are busy", async () => {
      await using job = slurm!.srun(family, four, [WAITING, "sync"]);
      await job.said("waits");
      await slurm!.run(`scancel ${await jobId()}`);
      await isOver(job);
      const { exitCode, stderr } = await job.ended();
      expect(stderr).toContain("CANCELLED");
      expect(exitCode).not.toBe(0);
    });
  });
}

if (slurm !== null) {
  test("srun without the plugin of an MPI is refused by every task", async () => {
    await using job = slurm.srun(null, ["--ntasks=2"], [STEPS]);
    const { exitCode, stderr } = await job.ended();
    expect(stderr).toMatch(/Cannot start as task 0 of 2: .* srun --mpi=pmix .* --mpi=pmi2/);
    expect(stderr).toContain("Cannot start as task 1 of 2");
    expect(exitCode).not.toBe(0);
  });
}
