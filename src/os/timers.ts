/**
 * The longest delay of a timer, in ms: timers hold 31 bits, and one of a longer delay fires at
 * once. (MPI's `int` holds as much.)
 */
export const LONGEST_MS = 2 ** 31 - 1;

/**
 * The delay of a timer that is to fire after `ms`: as long as a timer can wait, and not before now.
 */
export function timerDelay(ms: number): number {
  return Math.min(Math.max(0, ms), LONGEST_MS);
}
