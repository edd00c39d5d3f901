/**
 * Whether this process belongs to an MPI job, and its place there, as far as the environment tells.
 * MPI itself, and all that speaks it, is loaded by those that need it: most of a process's start is
 * the loading of its modules.
 */
import { MpiError } from "../errors.ts";
import { findLauncher, type Launcher, startedSize } from "../mpi/launcher/launcher.ts";
import { allowLongTests } from "../os/test-run.ts";
import { listenUnseen } from "../os/unseen.ts";
import { FOREVER_MS } from "../os/waits.ts";
import { servedRank } from "../os/worker-env.ts";
import { isOff, settingOf, switchOf } from "../os/settings.ts";
import { isStartedByRank, launcherHere } from "../mpi/launcher/ancestry.ts";

const USE_MPI = "BSYNC_USE_MPI";

/**
 * The launcher that a job, of however many ranks, may come from; null where there is none, or shall
 * be none.
 */
function wantedLauncher(): Launcher | null {
  const wanted = switchOf(USE_MPI);
  if (wanted === false) return null;
  const launcher = launcherHere();
  if (wanted === true && launcher === null) {
    const why = isStartedByRank()
      ? "a rank has started this program, and no launcher has"
      : "no launcher started this program";
    throw new MpiError(
      `Cannot use MPI as ${USE_MPI}=${settingOf(USE_MPI)} says: ${why}; start it with mpirun -n ` +
        "4 bun run …",
    );
  }
  return launcher;
}

/**
 * The launcher that makes this process part of an MPI job; null when it is none, or shall be none.
 * Where it does not say how many ranks there are, MPI is started to ask, which takes all of them.
 */
export function mpiJob(initTimeout = FOREVER_MS): Launcher | null {
  const launcher = wantedLauncher();
  if (launcher === null) return null;
  const size = launcher.size || askMpi(initTimeout);
  return size > 1 || switchOf(USE_MPI) === true ? { ...launcher, size } : null;
}

function askMpi(initTimeout: number): number {
  // Its callers cannot wait for an `import()`.
  const { startForProgram } = require("./job.ts") as typeof import("./job.ts");
  return startForProgram(initTimeout).size;
}

/** Whether this process is a rank of an MPI job, or works for one. */
export function usingMpi(): boolean {
  return servedRank() !== null || mpiJob() !== null;
}

/** This process's rank in its MPI job, or that of the rank it works for; 0 without MPI. */
export function getRank(): number {
  return servedRank()?.rank ?? wantedLauncher()?.rank ?? 0;
}

/** How many ranks the MPI job has; 1 without MPI. */
export function getSize(): number {
  const served = servedRank();
  if (served !== null) return served.size;
  const job = mpiJob();
  return job === null ? 1 : (startedSize() ?? job.size);
}

/**
 * Ends the job when this process fails before it has started MPI. Open MPI's launcher would, but
 * MPICH's lets the other ranks wait in `MPI_Init` for as long as they will.
 */
function endUnjoinedJob(code: number): void {
  if (startedSize() !== null || code === 0) return;
  const { abortByLauncher } =
    require("../mpi/launcher/pmi.ts") as typeof import("../mpi/launcher/pmi.ts");
  abortByLauncher(process.env, code);
}

const launcher = findLauncher(process.env);

// The tests of another rank than 0 wait in `open` until the last test of that is over.
if (launcher !== null && launcher.rank > 0 && !isOff(USE_MPI)) allowLongTests();

// A Worker has an exit of its own, which is not that of the process.
if (launcher?.family === "mpich" && Bun.isMainThread && !isOff(USE_MPI)) {
  listenUnseen("exit", endUnjoinedJob);
}
