/**
 * For which rank of an MPI job a process works that is none itself: the child of an isolated pool's
 * rank. It knows by a variable, since it has none of the launcher's.
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

let served: Place | null = null;

/** Reads it, once; what this process starts in turn works for nobody. */
export function takePlace(): Place | null {
  const text = process.env[VARIABLE];
  delete process.env[VARIABLE];
  if (text === undefined) return null;
  const [rank = 0, size = 1] = text.split("/").map(Number);
  return (served = { rank, size });
}

/** The place that was taken; null in a process that works for no rank. */
export function servedPlace(): Place | null {
  return served;
}
