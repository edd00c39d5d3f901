import { clearTimeout, performance, Promise, setTimeout } from "../os/natives.ts";
import { timerDelay } from "../os/waits.ts";

/** A condition variable: each waiter checks its own predicate again after every `notify`. */
export class Condition {
  #checks: (() => void)[] = [];
  readonly #onTurn: () => void;

  /** `onTurn` is called when a waiter goes on waiting, or has reached its deadline. */
  constructor(onTurn: () => void) {
    this.#onTurn = onTurn;
  }

  /** True while somebody waits. */
  get hasWaiters(): boolean {
    return this.#checks.length > 0;
  }

  /** Lets every waiter check again. */
  notify(): void {
    // As a rule nobody waits, and this runs each time that the last pending call is settled.
    if (this.#checks.length === 0) return;
    for (const check of this.#checks.splice(0)) check();
  }

  /** Resolves when `condition` holds, or at `deadline` (of `performance.now()`). */
  wait(condition: () => boolean, deadline: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout> | null = null;
      let over = false;
      const check = () => {
        if (!over && !condition()) {
          this.#checks.push(check);
          this.#onTurn();
          return;
        }
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
      if (deadline !== Infinity && !condition()) {
        const delay = timerDelay(deadline - performance.now());
        timer = setTimeout(() => {
          over = true;
          this.#checks = this.#checks.filter((other) => other !== check);
          check();
          this.#onTurn();
        }, delay);
      }
      check();
    });
  }
}
