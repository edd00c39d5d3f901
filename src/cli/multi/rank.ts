/** The ranks of a job that do not speak: they serve the pool of rank 0, or are let go. */
import { AsyncPool } from "../../pool.ts";
import { textOf } from "../../errors.ts";
import { mpiJob } from "../../job/environment.ts";
import { findStrayTask } from "../../mpi/launcher/launcher.ts";

/**
 * The signals by which batch systems announce the end: rank 0 alone answers them, and needs the
 * other ranks meanwhile.
 */
export const STOP_SIGNALS = ["SIGTERM", "SIGUSR1"] as const;

/** The exit code for an error of the command's own. */
export const OWN_ERROR = 255;

/** Serves until the job ends; resolves with the exit code if this process is no rank. */
export async function serve(): Promise<number> {
  try {
    await AsyncPool.open(undefined, { drainSignals: [...STOP_SIGNALS] });
    return 0;
  } catch (error) {
    // Of tasks that are no ranks the first one says what is wrong with all of them.
    if (findStrayTask(process.env) === null) {
      process.stderr.write(`bsync multi: ${textOf(error)}\n`);
    }
    return OWN_ERROR;
  }
}

/**
 * The other ranks wait for a pool, though there is nothing to do: they get one, and are let go as
 * after any other, in silence.
 */
export async function letRanksGo(): Promise<void> {
  try {
    if (mpiJob() !== null) await (await AsyncPool.open()).close();
  } catch {
    // No MPI can be loaded: then nobody waits in it.
  }
}
