import type { Task } from "./task.ts";

/**
 * How far a call has come on its worker. Its timeout counts only while it is `begun`: its arguments
 * may take their time to arrive, and so may its result.
 */
export type WorkerStage = "sent" | "begun" | "returned";

/**
 * The calls that a worker has begun and not answered, where it may have several under way: it
 * reports the begin of each. (Where it has one at a time, that is the first in flight.)
 */
export class BegunCalls {
  readonly #stages = new Map<Task, WorkerStage>();
  /** The call whose function has not returned its promise yet, and so has the thread. */
  #called: Task | null = null;

  get size(): number {
    return this.#stages.size;
  }

  has(task: Task): boolean {
    return this.#stages.has(task);
  }

  stageOf(task: Task): WorkerStage {
    return this.#stages.get(task) ?? "sent";
  }

  begin(task: Task): void {
    this.#stages.set(task, "begun");
    this.#called = task;
  }

  /** A call has ended, and its result follows. */
  finish(task: Task): void {
    this.#stages.set(task, "returned");
    this.#leave(task);
  }

  /** A call has returned a promise. */
  awaits(id: number): void {
    if (this.#called?.id === id) this.#called = null;
  }

  /** A call was answered. */
  end(task: Task): void {
    this.#stages.delete(task);
    this.#leave(task);
  }

  #leave(task: Task): void {
    if (this.#called === task) this.#called = null;
  }

  some(wanted: (task: Task) => boolean): boolean {
    for (const task of this.#stages.keys()) if (wanted(task)) return true;
    return false;
  }

  /** Whether a call has the thread whose result is still wanted: it may take its time. */
  get isHeldByWanted(): boolean {
    return this.#called?.settled === false;
  }
}
