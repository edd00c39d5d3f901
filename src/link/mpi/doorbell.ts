import { own } from "../../os/natives.ts";

/**
 * The signal that wakes a rank of the same machine: MPI has no descriptor to sleep on. It cuts a
 * nap short, and turns an event loop; a process that does not listen ignores it (signal(7)).
 */
export const DOORBELL_SIGNAL = "SIGURG";

export function ring(pid: number): void {
  try {
    own.kill(pid, DOORBELL_SIGNAL);
  } catch {
    // It is gone, or not ours to wake: it will look for itself, if it is there.
  }
}
