/**
 * A Slurm of this machine's own, on the hosts of `hosts/cluster.ts`: its controller on the login host, and
 * two nodes. Its files are in a temporary folder; that, and its daemons, go with it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cluster, type HostJob } from "../hosts/cluster.ts";
import { AS_ROOT } from "../mpi/launch.ts";
import type { MpiFamily } from "../setup/mpi.ts";

const START = join(import.meta.dir, "start.sh");

/** What Slurm's plugins for each MPI are called. */
const PLUGINS = { openmpi: "pmix", mpich: "pmi2" } as const;

/** Open MPI's fastest ways between hosts are not made for namespaces of one machine; its mpirun, not for root. */
const MPI_SETTINGS = {
  ...AS_ROOT,
  OMPI_MCA_pml: "ob1",
  OMPI_MCA_btl_tcp_if_include: "eth0",
  OMPI_MCA_mpi_yield_when_idle: "1",
};

export class Slurm implements AsyncDisposable {
  readonly #cluster: Cluster;
  /** Temporary, and the same on all hosts. */
  readonly folder: string;

  private constructor(cluster: Cluster, folder: string) {
    this.#cluster = cluster;
    this.folder = folder;
  }

  static async open(): Promise<Slurm> {
    const folder = mkdtempSync(join(tmpdir(), "bsync-slurm-"));
    const slurm = new Slurm(await Cluster.open(2), folder);
    try {
      await slurm.#cluster.run("login", `${START} ${folder} 2`);
      return slurm;
    } catch (error) {
      await slurm[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts Bun with `args` by srun, under the plugin of that family or none. */
  srun(family: MpiFamily | null, options: readonly string[], args: readonly string[]): HostJob {
    const plugin = `--mpi=${family === null ? "none" : PLUGINS[family]}`;
    return this.launch("srun", plugin, ...options, process.execPath, "run", ...args);
  }

  /** Starts one of Slurm's commands on the login host. */
  launch(...command: readonly string[]): HostJob {
    return this.#cluster.launch(command, { ...MPI_SETTINGS, ...this.#config });
  }

  /** Runs a shell's command on the login host to its end, and returns what it says. */
  run(command: string): Promise<string> {
    return this.#cluster.run("login", `SLURM_CONF=${this.#config.SLURM_CONF} ${command}`);
  }

  /** How many processes of Bun there are. */
  ranks(): Promise<number> {
    return this.#cluster.ranks();
  }

  get #config() {
    return { SLURM_CONF: join(this.folder, "slurm.conf") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cluster[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}
