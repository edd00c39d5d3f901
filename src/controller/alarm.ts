import { clearTimeout, performance, setTimeout } from "../os/natives.ts";
import { timerDelay } from "../os/waits.ts";

/**
 * The pool's one timer. It rings once, at the earliest time it was given and never before; what is
 * to be done then is its owner's affair. It may ring up to a millisecond late, as timers do, and
 * for a time that is of no interest any more. It never keeps the process alive.
 */
export class Alarm {
  readonly #ring: () => void;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #time = Infinity;

  constructor(ring: () => void) {
    this.#ring = ring;
  }

  /** Rings at `time` (of `performance.now()`), unless it is set to ring before that already. */
  set(time: number, now: number): void {
    if (time >= this.#time) return;
    this.clear();
    this.#time = time;
    this.#arm(now);
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#time = Infinity;
  }

  #arm(now: number): void {
    const delay = timerDelay(Math.ceil(this.#time - now));
    this.#timer = setTimeout(() => this.#fired(), delay);
    this.#timer.unref();
  }

  #fired(): void {
    const now = performance.now();
    if (now < this.#time) return this.#arm(now);
    this.clear();
    this.#ring();
  }
}
