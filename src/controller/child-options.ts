import type { Task, TaskOptions } from "../scheduler/task.ts";
import type { ChildOptions } from "../wire/frames.ts";

/** Options that are one object for all children which have the same. */
const SHARED = 1024;

/** The options of tasks that tasks have submitted. */
export class ChildOptionsOf {
  readonly #defaults: TaskOptions;
  /** By all that makes them. */
  readonly #shared = new Map<string, TaskOptions>();

  /** `defaults` are those of the pool's tasks. */
  constructor(defaults: TaskOptions) {
    this.#defaults = defaults;
  }

  /** Those that were given, on top of the parent's and the pool's. */
  within({ options: parent }: Task, given: ChildOptions): TaskOptions {
    const defaults = this.#defaults;
    // Calls of `each` go before all others: their children do not.
    const inherited = parent.priority === -Infinity ? defaults.priority : parent.priority;
    const timeout = or(given.timeout, defaults.timeout);
    const priority = or(given.priority, inherited);
    const retries = or(given.retries, defaults.retries);
    const { worker } = given;
    const { signal } = parent;
    const { retryOn } = defaults;
    if (signal !== null)
      return { timeout, priority, retries, signal, worker, retryOn, onReport: null };
    const key = `${timeout} ${priority} ${retries} ${worker}`;
    let options = this.#shared.get(key);
    if (options === undefined) {
      if (this.#shared.size === SHARED) this.#shared.clear();
      options = { timeout, priority, retries, signal, worker, retryOn, onReport: null };
      this.#shared.set(key, options);
    }
    return options;
  }
}

function or(given: number, inherited: number): number {
  return Number.isNaN(given) ? inherited : given;
}
