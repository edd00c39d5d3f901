import type { MessageHandle } from "../handle.ts";
import { performance } from "../os/natives.ts";
import type { ProgressSource } from "../watch/progress-sources.ts";
import type { Progress } from "../watch/progress.ts";

/** Looks take this part of the time at most: one in so many. */
const REST = 100;

/**
 * How many of a list of handles are settled, told when somebody asks: counting as they settle would
 * cost each of them something. A long list is counted anew only now and then.
 */
export class HandleProgress implements ProgressSource {
  readonly kind = "all";
  readonly #handles: readonly MessageHandle<unknown>[];
  /** Those that were not settled at the last look. */
  #open: readonly MessageHandle<unknown>[];
  #failed = 0;
  #restsUntil = -Infinity;

  constructor(handles: readonly MessageHandle<unknown>[]) {
    this.#handles = handles;
    this.#open = handles;
  }

  name(): string {
    return nameOf(this.#handles);
  }

  look(isLast = false): Progress {
    const begin = performance.now();
    if (isLast || begin >= this.#restsUntil) {
      this.#count();
      const end = performance.now();
      this.#restsUntil = end + REST * (end - begin);
    }
    const total = this.#handles.length;
    return { done: total - this.#open.length, failed: this.#failed, total };
  }

  #count(): void {
    this.#open = this.#open.filter(({ state }) => {
      if (state === "failed") this.#failed++;
      return state === "queued" || state === "running";
    });
  }
}

/** What the handles call: the first function, and whether there are others. */
export function nameOf(handles: readonly MessageHandle<unknown>[]): string {
  const first = handles[0]?.fn;
  if (first === undefined) return "nothing";
  return handles.every(({ fn }) => fn === first) ? first.label : `${first.label} and others`;
}
