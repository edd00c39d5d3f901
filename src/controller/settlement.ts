import { newPromise, Promise } from "../os/natives.ts";
import { Fifo } from "../collections/fifo.ts";
import { ASKED, noteAsked, type Task, type Waiter } from "../scheduler/task.ts";

/**
 * The ends of tasks, for those that wait for them. A task has a promise only if somebody has asked
 * for one: a million calls whose results nobody reads are a million objects less.
 */

/** The result of a task. */
export function promiseOf(task: Task): Promise<unknown> {
  const { waiter } = task;
  if (waiter !== null && waiter.promise !== null) return waiter.promise;
  if (task.settled) {
    noteAsked(task);
    return task.state === "done" ? Promise.resolve(task.outcome) : Promise.reject(task.outcome);
  }
  const { promise, resolve, reject } = newPromise<unknown>();
  addWaiter(task, { promise, resolve, reject });
  return promise;
}

/** Calls `deed` when a task is settled, at once if it is: no promise is made. */
export function whenSettled(task: Task, deed: () => void): void {
  noteAsked(task);
  if (task.settled) deed();
  else addWaiter(task, { promise: null, resolve: deed, reject: deed });
}

/** Several that wait for one task. */
class Waiters implements Waiter {
  readonly #all: Set<Waiter>;

  constructor(...all: Waiter[]) {
    this.#all = new Set(all);
  }

  /** A promise is made for one of them at most. */
  get promise(): Promise<unknown> | null {
    for (const { promise } of this.#all) if (promise !== null) return promise;
    return null;
  }

  add(waiter: Waiter): void {
    this.#all.add(waiter);
  }

  remove(waiter: Waiter): void {
    this.#all.delete(waiter);
  }

  readonly resolve = (value: unknown): void => {
    for (const { resolve } of this.#all) resolve(value);
  };

  readonly reject = (error: unknown): void => {
    for (const { reject } of this.#all) reject(error);
  };
}

/** From now on `waiter` waits for a task that is not settled. */
export function addWaiter(task: Task, waiter: Waiter): void {
  const before = task.waiter;
  if (before === null || before === ASKED) task.waiter = waiter;
  else if (before instanceof Waiters) before.add(waiter);
  else task.waiter = new Waiters(before, waiter);
}

/** It waits no more. */
export function removeWaiter(task: Task, waiter: Waiter): void {
  if (task.waiter === waiter) task.waiter = ASKED;
  else if (task.waiter instanceof Waiters) task.waiter.remove(waiter);
}

/** Tells the one that waits for a task that it is settled. */
export function notifyWaiter(waiter: Waiter, { state, outcome }: Task): void {
  if (state === "done") waiter.resolve(outcome);
  else waiter.reject(outcome);
}

/** A caller of `idle`, and the tasks that only it and later callers wait for. */
interface Stage {
  /** Tasks of lower orders are waited for. */
  readonly before: number;
  /** Tasks of this stage that are not settled: their orders are not below the stage before. */
  left: number;
  readonly resolve: () => void;
}

/**
 * Callers that wait until all is settled that was submitted before they asked. Each task counts for
 * the first of them that waits for it, so that a task costs the same however many wait: a caller
 * goes on when its own tasks and those of all callers before it are settled.
 */
export class AllSettled {
  /** In the order of their calls, and so of `before`. */
  readonly #stages = new Fifo<Stage>();
  /** The sum of `left`. */
  #awaited = 0;

  get isAwaited(): boolean {
    return this.#stages.length > 0;
  }

  /** Resolves when the `pending` tasks are settled, whose orders are below `before`. */
  wait(before: number, pending: number): Promise<void> {
    const { promise, resolve } = newPromise<void>();
    this.#stages.push({ before, left: pending - this.#awaited, resolve });
    this.#awaited = pending;
    this.#goOn();
    return promise;
  }

  /**
   * A task becomes pending. As a rule it comes after all callers; one whose arguments have asked
   * when they were read was numbered before.
   */
  add(task: Task): void {
    const stage = this.#stageOf(task);
    if (stage === undefined) return;
    stage.left++;
    this.#awaited++;
  }

  /** A task is settled. */
  settle(task: Task): void {
    const stage = this.#stageOf(task);
    if (stage === undefined) return;
    stage.left--;
    this.#awaited--;
    this.#goOn();
  }

  #goOn(): void {
    for (let first = this.#stages.at(0); first?.left === 0; first = this.#stages.at(0)) {
      this.#stages.shift();
      first.resolve();
    }
  }

  /** The first stage that waits for a task: by halves, since there may be as many as tasks. */
  #stageOf({ order }: Task): Stage | undefined {
    let low = 0;
    let high = this.#stages.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (order < this.#stages.at(middle)!.before) high = middle;
      else low = middle + 1;
    }
    return this.#stages.at(low);
  }
}
