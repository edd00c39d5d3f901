/**
 * Whether this process belongs to an MPI job, and its place there, as far as the environment tells.
 * MPI and all modules that use it are loaded only when needed: loading modules is most of a
 * process's start.
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

/** The launcher of a job of any size; null if there is none, or MPI must not be used. */
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
 * The launcher that makes this process part of an MPI job; null if it is not, or must not be. If
 * the launcher does not tell the number of ranks, MPI is started to ask, which takes all of them.
 */
export function mpiJob(initTimeout = FOREVER_MS): Launcher | null {
  const launcher = wantedLauncher();
  if (launcher === null) return null;
  const size = launcher.size || askMpi(initTimeout);
  return size > 1 || switchOf(USE_MPI) === true ? { ...launcher, size } : null;
}

function askMpi(initTimeout: number): number {
  // The callers cannot wait for an `import()`.
  const { startForProgram } = require("./job.ts") as typeof import("./job.ts");
  return startForProgram(initTimeout).size;
}

/** Whether this process is a rank of an MPI job, or serves one. */
export function usingMpi(): boolean {
  return servedRank() !== null || mpiJob() !== null;
}

/** This process's rank in its MPI job, or the rank it serves; 0 without MPI. */
export function getRank(): number {
  return servedRank()?.rank ?? wantedLauncher()?.rank ?? 0;
}

/** The number of ranks in the MPI job; 1 without MPI. */
export function getSize(): number {
  const served = servedRank();
  if (served !== null) return served.size;
  const job = mpiJob();
  return job === null ? 1 : (startedSize() ?? job.size);
}

/**
 * Ends the job when this process fails before it has started MPI. Open MPI's launcher does so
 * itself, but MPICH's leaves the other ranks waiting in `MPI_Init` without end.
 */
function endUnjoinedJob(code: number): void {
  if (startedSize() !== null || code === 0) return;
  const { abortByLauncher } =
    require("../mpi/launcher/pmi.ts") as typeof import("../mpi/launcher/pmi.ts");
  abortByLauncher(process.env, code);
}

const launcher = findLauncher(process.env);

// On other ranks than 0 tests wait in `open` until rank 0 has finished its last test.
if (launcher !== null && launcher.rank > 0 && !isOff(USE_MPI)) allowLongTests();

// A Worker has its own `exit` event, which is not the process's.
if (launcher?.family === "mpich" && Bun.isMainThread && !isOff(USE_MPI)) {
  listenUnseen("exit", endUnjoinedJob);
}
