import { clearTimeout, performance, Promise, setTimeout } from "../os/natives.ts";
import { timerDelay } from "../os/timers.ts";

/**
 * Those who wait for something to become true, and look again whenever something has changed. What
 * changes, and what they look at, is their affair.
 */
export class Condition {
  #checks: (() => void)[] = [];
  readonly #onTurn: () => void;

  /** `onTurn` is called when somebody goes on waiting, or has waited in vain until the deadline. */
  constructor(onTurn: () => void) {
    this.#onTurn = onTurn;
  }

  /** True while somebody waits. */
  get hasWaiters(): boolean {
    return this.#checks.length > 0;
  }

  /** Something has changed. */
  notify(): void {
    // As a rule nobody waits, and this is called after every call that was the last one pending.
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
