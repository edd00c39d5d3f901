import { newPromise, Promise } from "../os/natives.ts";
import type { Task } from "../scheduler/task.ts";

/**
 * The ends of tasks, for those that wait for them. A task has a promise only if somebody has asked
 * for one: a million calls whose results nobody reads are a million objects less.
 */

/** The result of a task. */
export function promiseOf(task: Task): Promise<unknown> {
  const { waiter } = task;
  if (waiter !== null && waiter.promise !== null) return waiter.promise;
  if (task.settled) {
    return task.state === "done" ? Promise.resolve(task.outcome) : Promise.reject(task.outcome);
  }
  const { promise, resolve, reject } = newPromise<unknown>();
  task.waiter = { promise, resolve, reject };
  // Somebody waited for it without a promise before.
  if (waiter !== null) void promise.then(waiter.resolve, waiter.reject);
  return promise;
}

/** Calls `deed` when a task is settled, at once if it is: no promise is made. */
export function whenSettled(task: Task, deed: () => void): void {
  if (task.settled) return deed();
  if (task.waiter === null) task.waiter = { promise: null, resolve: deed, reject: deed };
  else void promiseOf(task).then(deed, deed);
}

/** Tells those that wait for a task that it is settled. */
export function notifyWaiter({ waiter, state, outcome }: Task): void {
  if (waiter === null) return;
  if (state === "done") waiter.resolve(outcome);
  else waiter.reject(outcome);
}

/** A caller that waits for all tasks below a number. */
interface Waiter {
  readonly before: number;
  left: number;
  readonly resolve: () => void;
}

/** Callers that wait until all is settled that was submitted so far. */
export class AllSettled {
  #waiters: Waiter[] = [];

  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Resolves when the `pending` tasks are settled, whose orders are below `before`. */
  wait(before: number, pending: number): Promise<void> {
    const { promise, resolve } = newPromise<void>();
    if (pending === 0) resolve();
    else this.#waiters.push({ before, left: pending, resolve });
    return promise;
  }

  /** A task is settled. */
  settle({ order }: Task): void {
    for (const waiter of this.#waiters) if (order < waiter.before) waiter.left--;
    const isOver = ({ left }: Waiter) => left === 0;
    for (const { resolve } of this.#waiters.filter(isOver)) resolve();
    this.#waiters = this.#waiters.filter((waiter) => !isOver(waiter));
  }
}
