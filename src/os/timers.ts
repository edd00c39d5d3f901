/**
 * The longest delay of a timer, in ms: timers hold 31 bits, and a longer delay fires at once.
 * (MPI's `int` holds as much.)
 */
export const LONGEST_MS = 2 ** 31 - 1;

/** The delay of a timer for `ms`: as long as a timer can wait, and not below 0. */
export function timerDelay(ms: number): number {
  return Math.min(Math.max(0, ms), LONGEST_MS);
}
