/** The cores of the machine. */
import { availableParallelism, cpus } from "node:os";

/** How many there are, whatever this process is bound to: a rank bound to one would see that one alone. */
export function hostCores(): number {
  return Math.max(countCpus(), availableParallelism());
}

/** 0 where the system does not tell: without /proc. */
function countCpus(): number {
  try {
    return cpus().length;
  } catch {
    return 0;
  }
}
