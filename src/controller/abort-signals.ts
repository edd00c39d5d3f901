import { queueMicrotask } from "../os/natives.ts";
import { hasStack } from "../os/stack.ts";
import { whole } from "../os/whole.ts";
import type { Task } from "../scheduler/task.ts";

/** The engine's own: a signal may carry members of these names that are the program's code. */
const { addEventListener, removeEventListener } = EventTarget.prototype;
const aborted = getterOf("aborted") as (this: AbortSignal) => boolean;
const reason = getterOf("reason");

function getterOf(name: "aborted" | "reason"): (this: AbortSignal) => unknown {
  return Object.getOwnPropertyDescriptor(AbortSignal.prototype, name)!.get!;
}

export function isAborted(signal: AbortSignal): boolean {
  return aborted.call(signal);
}

export function reasonOf(signal: AbortSignal): unknown {
  return reason.call(signal);
}

/** Tasks under `AbortSignal`s: one listener a signal, however many tasks share it. */
export class AbortSignals {
  readonly #abort: (task: Task, reason: unknown) => void;
  readonly #watched = new Map<AbortSignal, { tasks: Set<Task>; listener: () => void }>();

  constructor(abort: (task: Task, reason: unknown) => void) {
    this.#abort = abort;
  }

  watch(signal: AbortSignal, task: Task): void {
    let entry = this.#watched.get(signal);
    if (entry === undefined) {
      const tasks = new Set<Task>();
      const listener = () => {
        // `abort()` must not throw here: with too little stack, the rest is done in a microtask.
        if (!hasStack()) return queueMicrotask(listener);
        // A copy: each settled task leaves the set. `whole`: a task may have called `abort()`.
        whole(() => {
          for (const task of [...tasks]) this.#abort(task, reasonOf(signal));
        });
      };
      entry = { tasks, listener };
      addEventListener.call(signal, "abort", listener, { once: true });
      this.#watched.set(signal, entry);
    }
    entry.tasks.add(task);
  }

  forget(signal: AbortSignal, task: Task): void {
    const entry = this.#watched.get(signal);
    if (entry === undefined) return;
    entry.tasks.delete(task);
    if (entry.tasks.size > 0) return;
    this.#watched.delete(signal);
    removeEventListener.call(signal, "abort", entry.listener);
  }
}
