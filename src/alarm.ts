/**
 * The pool's one timer. It rings at the earliest time it was given; what is to be done then is
 * its owner's affair. It may ring up to a millisecond late, as timers do, and once too often:
 * whoever is called looks at the clock. It never keeps the process alive.
 */
export class Alarm {
  #ring: () => void;
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
    // A timer longer than 2^31-1 ms would fire at once; the owner sets the alarm again when it rings.
    const delay = Math.min(Math.max(0, Math.ceil(time - now)), 2_000_000_000);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#time = Infinity;
      this.#ring();
    }, delay);
    this.#timer.unref();
  }

  clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#time = Infinity;
  }
}
