/** The ranks of a job that do not speak: they serve the pool of rank 0, or are let go. */
import { AsyncPool } from "../../pool.ts";
import { mpiJob } from "../../job/environment.ts";

/**
 * The signals by which batch systems announce the end: rank 0 alone answers them, and needs the
 * other ranks meanwhile.
 */
export const STOP_SIGNALS = ["SIGTERM", "SIGUSR1"] as const;

/** Serves until the job ends; resolves with the exit code if this process is no rank. */
export async function serve(): Promise<number> {
  await AsyncPool.open(undefined, { drainSignals: [...STOP_SIGNALS] });
  return 0;
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
