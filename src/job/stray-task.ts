import { MpiError } from "../errors.ts";
import { findStrayTask } from "../mpi/launcher/launcher.ts";
import { isOff } from "../os/settings.ts";

/**
 * Throws if this process is one of several copies of the program that do not know of each other.
 */
export function refuseStrayTask(): void {
  const stray = isOff("BSYNC_USE_MPI") ? null : findStrayTask(process.env);
  if (stray === null) return;
  throw new MpiError(
    `Cannot start as task ${stray.task} of ${stray.tasks}: Slurm's srun has told the tasks ` +
      "nothing of MPI, and each would be a program of its own; start them with srun --mpi=pmix " +
      "(Open MPI) or --mpi=pmi2 (MPICH), or with BSYNC_USE_MPI=0 if that is what is wanted",
  );
}
