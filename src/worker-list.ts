import { show } from "./errors.ts";

/** The workers of a pool: MPI ranks, and local processes as null. */
export type WorkerList = readonly (number | null)[];

/**
 * The `workers` argument in an MPI job, or on a communicator (`comm`, its name), of `size` ranks. A
 * `RangeError` names the mistake.
 */
export function readRanks(
  workers: number | WorkerList | undefined,
  size: number,
  comm: string | null = null,
): WorkerList {
  const available = size - 1;
  const where = comm === null ? "this MPI job" : `this communicator (${comm})`;
  const cure = (ranks: number) => (comm === null ? `; start it with mpirun -n ${ranks}` : "");
  if (workers === undefined) return Array.from({ length: available }, (_, i) => i + 1);
  if (typeof workers === "number") {
    checkCount(workers);
    if (workers > available) {
      throw new RangeError(
        `Cannot open a pool of ${count(workers, "worker")}: ${where} has ` +
          `${count(available, "worker rank")}${cure(workers + 1)}`,
      );
    }
    return Array.from({ length: workers }, (_, i) => i + 1);
  }
  checkList(workers);
  const seen = new Set<number>();
  for (const rank of workers) {
    if (rank === null) continue;
    if (rank === 0) {
      throw new RangeError(
        "Cannot open a pool on rank 0: it is the controller; workers are the ranks from 1 on",
      );
    }
    if (seen.has(rank)) {
      throw new RangeError(
        `Cannot open a pool on rank ${rank} twice: it is in the list more than once`,
      );
    }
    if (rank >= size) {
      throw new RangeError(
        `Cannot open a pool on rank ${rank}: ${where} has ranks 0 to ${available}${cure(rank + 1)}`,
      );
    }
    seen.add(rank);
  }
  return [...workers];
}

/**
 * The `workers` argument without MPI: how many processes. The ranks in a list mean nothing there.
 */
export function readCount(workers: number | WorkerList | undefined, cores: number): number {
  if (workers === undefined) return cores;
  if (typeof workers === "number") {
    checkCount(workers);
    return workers;
  }
  checkList(workers);
  return workers.length;
}

function checkCount(workers: number): void {
  if (Number.isInteger(workers) && workers >= 1) return;
  throw new RangeError(
    `Cannot open a pool: workers must be a whole number >= 1, got ${show(workers)}`,
  );
}

function checkList(workers: unknown): asserts workers is WorkerList {
  if (!Array.isArray(workers)) {
    const isOptions = workers?.constructor === Object;
    const cure = isOptions ? "; options come second: AsyncPool.open(undefined, { … })" : "";
    throw new TypeError(
      "Cannot open a pool: workers must be a number, or a list of ranks and nulls, " +
        `got ${show(workers)}${cure}`,
    );
  }
  if (workers.length === 0) {
    throw new RangeError("Cannot open a pool: its list of workers is empty");
  }
  for (const rank of workers) {
    if (rank === null || (Number.isInteger(rank) && rank >= 0)) continue;
    throw new RangeError(`Cannot open a pool on rank ${show(rank)}: ranks are whole numbers >= 1`);
  }
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}
