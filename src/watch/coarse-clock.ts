import { performance, queueMicrotask } from "../os/natives.ts";

/** ms from one reading to the next below which not every one looks at the clock. */
const FAST_MS = 0.002;

/** Readings to one look at the clock, at most. */
const MOST = 32;

/**
 * The time, for those that ask for it with each of a million calls in a row: to look at the clock
 * takes longer than all else that is done there. Where readings follow each other fast, up to 32
 * share a look; none shares it with an earlier turn of the program.
 */
export class CoarseClock {
  #now = 0;
  #left = 0;
  #step = 1;
  #isResetDue = false;

  read(): number {
    if (this.#left === 0) return this.#look();
    this.#left--;
    return this.#now;
  }

  #look(): number {
    const now = performance.now();
    const isFast = now - this.#now < this.#step * FAST_MS;
    this.#now = now;
    this.#step = isFast ? Math.min(2 * this.#step, MOST) : 1;
    this.#left = this.#step - 1;
    if (this.#left > 0 && !this.#isResetDue) {
      this.#isResetDue = true;
      queueMicrotask(this.#reset);
    }
    return now;
  }

  readonly #reset = (): void => {
    this.#isResetDue = false;
    this.#left = 0;
  };
}
