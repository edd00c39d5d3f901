/**
 * The end of a job's walltime, which Slurm counts in minutes and looks at every half minute: too long for
 * `bun test`, so that this has a command of its own, `bun run test:walltime`.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { HostJob } from "../hosts/cluster.ts";
import { findMpi, mpiFamilies } from "../setup/mpi.ts";
import { whyNoSlurm } from "../setup/slurm.ts";
import { Slurm } from "./slurm.ts";

setDefaultTimeout(180_000);

const WAITING = join(import.meta.dir, "../hosts/fixtures/waiting.ts");
const DRAINING = join(import.meta.dir, "../contract/fixtures/draining.ts");
const LAUNCHING = join(import.meta.dir, "../../docs/launching.md");

const DRAINED =
  "queued: cancelled\nrunning: ended\nrunning: ended\nrefused: PoolClosedError\nclosed\n";

const reason = await whyNoSlurm();
if (reason !== null) throw new Error(`Slurm cannot be tried here: ${reason}`);

/** The script of docs/launching.md that passes a signal on, with another program in it. */
async function script(command: string): Promise<string> {
  const text = await Bun.file(LAUNCHING).text();
  const block = /```sh\n(#SBATCH --signal=B:USR1@\d+\n[^`]*)```/.exec(text)![1]!;
  expect(block).toContain("mpirun -n 65 bun run job.ts &");
  return `#!/bin/sh\n${block.replace("mpirun -n 65 bun run job.ts", command)}`;
}

test.each(mpiFamilies())(
  "%s: signals before the end of the walltime, and the end",
  async (family) => {
    await using slurm = await Slurm.open();
    const time = ["--time=1", "--nodes=1", "--ntasks=3"];
    // Each for the nodes alone: they start at once, and all minutes pass together.
    await using drained = slurm.srun(family, [...time, "--signal=USR1@30"], [DRAINING, "orderly"]);
    await using cut = slurm.srun(family, time, [WAITING, "sync"]);
    const mpirun = `${findMpi(family)!.mpirun} ${process.execPath} run ${DRAINING} orderly`;
    const path = join(slurm.folder, "script.sh");
    await Bun.write(path, await script(mpirun));
    const output = join(slurm.folder, "output");
    const options = [...time, "--wait", "--signal=B:USR1@30", `--output=${output}`];
    await using passed = slurm.launch("sbatch", ...options, path);

    const [first, second, third] = await Promise.all([end(drained), end(cut), end(passed)]);
    expect(first).toMatchObject({ exitCode: 7, stdout: expect.stringContaining(DRAINED) });
    expect(second.stderr).toMatch(/DUE TO TIME LIMIT/);
    expect(second.exitCode).not.toBe(0);
    expect(await Bun.file(output).text()).toContain(DRAINED);
    // MPICH's launcher ends with 0 now and then, where it was sent the signal itself.
    expect(family === "mpich" ? [0, 7] : [7]).toContain(third.exitCode);
    expect(await slurm.ranks()).toBe(0);
  },
);

function end(job: HostJob): ReturnType<HostJob["ended"]> {
  return job.ended(150_000);
}
