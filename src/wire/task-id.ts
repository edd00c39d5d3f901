/**
 * The numbers of tasks on the wire and in shared memory, which hold 32 bits each. Three of them
 * mean no task; tasks have the others, again and again, in the order of their submission.
 */

/** The report of a worker that runs no task: it waits for one, or loads a module for one. */
export const Activity = { Idle: 0, Loading: 0xffff_fffe } as const;

/** The number of the initializer, which is called as a task is, before any of them. */
export const INITIALIZER = 0xffff_ffff;

/** The highest number of a task: the orders up to here are numbers themselves. */
export const LAST_ID = 0xffff_fffd;

/** The number of the task that was submitted as the `order`-th, counted from 1. */
export function idOf(order: number): number {
  return order <= LAST_ID ? order : 1 + ((order - 1) % LAST_ID);
}

/** How many tasks later than `first` the one of number `id` was submitted; Infinity of none. */
export function distance(first: number, id: number): number {
  return id < 1 || id > LAST_ID ? Infinity : (id - first + LAST_ID) % LAST_ID;
}

let first = 1;

/** The order of a pool's first task. */
export function firstOrder(): number {
  return first;
}

/** For tests: pools that are opened from now on count their tasks from there. */
export function countTasksFrom(order: number): void {
  first = order;
}
