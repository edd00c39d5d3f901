import type { Task } from "./task.ts";

/** Tasks under `AbortSignal`s: one listener a signal, however many tasks share it. */
export class Signals {
  readonly #abort: (task: Task, reason: unknown) => void;
  readonly #watched = new Map<AbortSignal, { tasks: Set<Task>; listener: () => void }>();

  constructor(abort: (task: Task, reason: unknown) => void) {
    this.#abort = abort;
  }

  watch(signal: AbortSignal, task: Task): void {
    let entry = this.#watched.get(signal);
    if (entry === undefined) {
      const tasks = new Set<Task>();
      // A copy: each task that is settled takes itself off the set.
      const listener = () => {
        for (const task of [...tasks]) this.#abort(task, signal.reason);
      };
      entry = { tasks, listener };
      this.#watched.set(signal, entry);
      signal.addEventListener("abort", listener, { once: true });
    }
    entry.tasks.add(task);
  }

  forget(signal: AbortSignal, task: Task): void {
    const entry = this.#watched.get(signal);
    if (entry === undefined) return;
    entry.tasks.delete(task);
    if (entry.tasks.size > 0) return;
    signal.removeEventListener("abort", entry.listener);
    this.#watched.delete(signal);
  }
}
