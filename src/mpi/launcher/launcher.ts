import type { Environment } from "../../os/settings.ts";

/**
 * Who started this process, as far as its environment tells: pure functions of an environment,
 * which load nothing. The caller decides what follows.
 */

/**
 * The family of libmpi that a launcher talks to; `"unknown"` (srun, Flux, PMIx) talks to either.
 */
export type Family = "openmpi" | "mpich" | "unknown";

/** Whether these MPIs cannot talk to each other. */
export function isOther(launcher: Family, family: Family): boolean {
  return launcher !== "unknown" && family !== "unknown" && launcher !== family;
}

let mpiSize: number | null = null;

/** Records that MPI has started in this process, in a job of so many ranks. */
export function noteStarted(size: number): void {
  mpiSize = size;
}

/** The number of ranks by MPI; null if MPI has not started in this process. */
export function startedSize(): number | null {
  return mpiSize;
}

/** The launcher that started this process, and the rank it gave it. */
export interface Launcher {
  readonly family: Family;
  /** For messages, as in "Open MPI's mpirun". */
  readonly name: string;
  readonly rank: number;
  /** Number of ranks in the job; 0 if only MPI knows it. */
  readonly size: number;
}

/** The value of a setting; undefined if it is missing, empty or inherited. */
export function setting(env: Environment, name: string): string | undefined {
  return Object.hasOwn(env, name) && env[name] !== "" ? env[name] : undefined;
}

/** The first of `names` that is a whole number of 0 or more. */
function whole(env: Environment, ...names: string[]): number | undefined {
  for (const name of names) {
    const text = setting(env, name);
    if (text !== undefined && /^\d{1,9}$/.test(text)) return Number(text);
  }
  return undefined;
}

function make(
  family: Family,
  name: string,
  rank: number | undefined,
  size: number | undefined,
): Launcher | null {
  if (rank === undefined || size === undefined) return null;
  const known = size > 0 || family !== "unknown";
  return known && rank >= size ? null : { family, name, rank, size };
}

/** Batch systems start tasks with the process manager of either family. */
function findBatchSystem(env: Environment): { name: string; size: number | undefined } | null {
  if (setting(env, "FLUX_TASK_RANK")) {
    return { name: "Flux", size: whole(env, "FLUX_JOB_SIZE") };
  }
  if (setting(env, "PALS_RANKID")) {
    return { name: "PALS's mpiexec", size: whole(env, "PALS_SIZE") };
  }
  if (setting(env, "SLURM_STEP_ID") ?? setting(env, "SLURM_PROCID")) {
    return { name: "Slurm's srun", size: whole(env, "SLURM_STEP_NUM_TASKS", "SLURM_NTASKS") };
  }
  return null;
}

/**
 * The launcher that started this process; null when none did.
 *
 * @example
 * findLauncher({ OMPI_COMM_WORLD_RANK: "2", OMPI_COMM_WORLD_SIZE: "4" });
 * // { family: "openmpi", name: "Open MPI's mpirun", rank: 2, size: 4 }
 */
export function findLauncher(env: Environment): Launcher | null {
  const openMpi = make(
    "openmpi",
    "Open MPI's mpirun",
    whole(env, "OMPI_COMM_WORLD_RANK"),
    whole(env, "OMPI_COMM_WORLD_SIZE"),
  );
  if (openMpi) return openMpi;

  const batch = findBatchSystem(env);
  const pmiRank = whole(env, "PMI_RANK");
  const pmiSize = whole(env, "PMI_SIZE");
  // Slurm's PMI-2 and Flux set PMI_RANK too; only Hydra sets these others. They win over the
  // batch system, whose variables are there as well when Hydra runs inside one of its jobs.
  const hydra = setting(env, "MPI_LOCALNRANKS") ?? setting(env, "HYDI_CONTROL_FD");
  if (pmiRank !== undefined && pmiSize !== undefined && (hydra !== undefined || !batch)) {
    return make("mpich", "MPICH's mpirun", pmiRank, pmiSize);
  }
  // MPICH's `mpirun -pmi-port` sets these instead; MPI asks at the port how many ranks there are.
  const pmiId = whole(env, "PMI_ID");
  if (pmiId !== undefined && setting(env, "PMI_PORT") !== undefined) {
    return { family: "mpich", name: "MPICH's mpirun", rank: pmiId, size: 0 };
  }
  if (batch && (pmiRank !== undefined || setting(env, "PMIX_RANK") !== undefined)) {
    const rank = whole(env, "PMI_RANK", "PMIX_RANK");
    return make("unknown", batch.name, rank, batch.size ?? pmiSize ?? 0);
  }
  return make("unknown", "a PMIx launcher", whole(env, "PMIX_RANK"), 0);
}

/** One of several tasks of a batch system that do not know of MPI. */
export interface StrayTask {
  readonly task: number;
  /** The number of these tasks. */
  readonly tasks: number;
}

/** A process that srun started without the plugin of its MPI: one of so many, each alone. */
export function findStrayTask(env: Environment): StrayTask | null {
  const tasks = whole(env, "SLURM_STEP_NUM_TASKS") ?? 1;
  const task = whole(env, "SLURM_PROCID");
  if (task === undefined || tasks < 2 || findLauncher(env) !== null) return null;
  return setting(env, "SLURM_STEP_ID") === undefined ? null : { task, tasks };
}

/**
 * What launchers set for a rank. Beside the variables that make MPI_Init of a child fail or hang
 * (it would speak on its parent's connection to the launcher) these are those that mean the rank:
 * its node, its host name, its place among the ranks there. (With Slurm's number of a step Open MPI
 * takes any process for a task of srun's; its job, its CPUs and SLURM_LOCALID stay.) How MPI is to
 * work is the user's to say, under the same prefixes: OMPI_MCA_btl, OMPI_CC, HYDRA_LAUNCHER,
 * PMIX_MCA_gds and the like are not among them.
 */
const RANK_VARIABLE = new RegExp(
  "^(?:OMPI_(?:COMM_WORLD_|(?:UNIVERSE_SIZE|NUM_APP_CTX|APP_CTX_NUM_PROCS|FIRST_RANKS" +
    "|FILE_LOCATION|COMMAND|ARGV)$)" +
    "|OMPI_MCA_(?:ess$|ess_base_|initial_wdir$|orte_(?:app_num|bound_at_launch|ess_|hnp_|jobfam_" +
    "|launch$|local_daemon_|num_nodes|precondition_|top_session_dir|parent_uri|node_regex))" +
    "|ORTE_|PRTE_(?!MCA_|PREFIX)|PRTE_MCA_(?:ess_|prte_(?:ess_|hnp_|parent_uri))" +
    "|PMIX_(?!MCA_|DEBUG|PREFIX|INSTALL_PREFIX|LIBDIR)|PMI_(?!MMAP_|NO_|DEBUG|MAX_|USE_)" +
    "|PMI[0-9]_|HYDI_" +
    "|MPI_LOCAL(?:N?RANKS|RANKID)|PALS_|MV2_COMM_WORLD_|FLUX_TASK_|SLURM_PMIX" +
    "|SLURM_(?:PROCID|STEP_?ID)$)",
);

/** Settings that some launchers make for each rank, and users for their own reasons. */
const SETTING = new RegExp(
  "^(?:OMPI_MCA_(?:orte_tmpdir_base|mpi_oversubscribe|rmaps_base_oversubscribe|pmix" +
    "|shmem_RUNTIME_QUERY_hint)" +
    "|PMIX_MCA_mca_base_component_show_load_errors|MPIR_CVAR_CH3_INTERFACE_HOSTNAME" +
    "|GFORTRAN_UNBUFFERED_PRECONNECTED|HFI_NO_BACKTRACE|IPATH_NO_BACKTRACE)$",
);

/**
 * A copy of `env` for a child that is no rank: without the variables that a launcher set for the
 * process with environment `own`. `around` is the launcher's own environment, as far as known: its
 * variables were set by the user.
 */
export function withoutLauncher(
  env: Environment,
  own: Environment = env,
  around: Environment | null = null,
): Record<string, string> {
  const isTask = findLauncher(own) !== null || findStrayTask(own) !== null;
  const copy: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    const isSame = isTask && Object.hasOwn(own, name) && own[name] === value;
    if (isSame && RANK_VARIABLE.test(name)) continue;
    if (isSame && SETTING.test(name) && around?.[name] !== value) continue;
    copy[name] = value;
  }
  return copy;
}
