import { Fifo } from "../collections/fifo.ts";
import { queueMicrotask } from "../os/natives.ts";
import { aside } from "../os/whole.ts";

/**
 * Calls to the program's listeners, in their order. A listener is the program's code: it is called
 * where nothing of the pool's is under way, in a microtask or from within a call that blocks the
 * thread. One that throws ends the program as any callback does, and keeps none of the others from
 * being called.
 */
export class Callbacks {
  readonly #due = new Fifo<() => void>();
  #isScheduled = false;

  /** `deed` calls a listener. */
  post(deed: () => void): void {
    this.#due.push(deed);
    this.#schedule();
  }

  /** For callers that block the thread: makes all calls that are due. */
  flush(): void {
    while (this.#due.length > 0) {
      try {
        aside(this.#due.shift()!);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #schedule(): void {
    if (this.#isScheduled || this.#due.length === 0) return;
    this.#isScheduled = true;
    queueMicrotask(this.#run);
  }

  // Nothing is caught here: what is thrown is then shown with the line that threw it.
  readonly #run = (): void => {
    this.#isScheduled = false;
    try {
      while (this.#due.length > 0) aside(this.#due.shift()!);
    } finally {
      this.#schedule();
    }
  };
}
