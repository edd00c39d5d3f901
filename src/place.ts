/**
 * How a worker process knows what it is, by variables and descriptors that its parent has given it; and for which
 * rank of an MPI job one works that is none itself, the child of an isolated pool's rank.
 */

export interface Place {
  readonly rank: number;
  readonly size: number;
}

const VARIABLE = "BSYNC_WORKS_FOR_RANK";

/** What the environment of such a process has to have. */
export function writePlace({ rank, size }: Place): Record<string, string> {
  return { [VARIABLE]: `${rank}/${size}` };
}

/** Marks a process as a worker: the entry, or in a bundled program `AsyncPool.open`, looks for it. */
export const WORKER_MARK = "BSYNC_LOCAL_WORKER";

/** Descriptors of a worker process: its bell, and the memory it shares with its parent. */
export const BELL_FD = 3;
export const MEMORY_FD = 4;

/** What processes have that work in an MPI job without being a rank of it. */
const JOB_VARIABLE = "BSYNC_WORKS_IN_JOB";

/** What the environment of a worker has to have that belongs to a job. */
export function writeJob(): Record<string, string> {
  return { [JOB_VARIABLE]: "1" };
}

let served: Place | null = null;
let inJob = false;

/** Whether this process works in an MPI job: what its script says to other ranks is not for it to say. */
export function worksInJob(): boolean {
  return inJob;
}

/** Reads it, once; what this process starts in turn works for nobody. */
export function takePlace(): Place | null {
  const text = process.env[VARIABLE];
  inJob = process.env[JOB_VARIABLE] !== undefined;
  delete process.env[VARIABLE];
  delete process.env[JOB_VARIABLE];
  if (text === undefined) return null;
  const [rank = 0, size = 1] = text.split("/").map(Number);
  return (served = { rank, size });
}

/** The place that was taken; null in a process that works for no rank. */
export function servedPlace(): Place | null {
  return served;
}
