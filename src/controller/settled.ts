import { newPromise, type Promise } from "../os/natives.ts";
import type { Task } from "../scheduler/task.ts";

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
