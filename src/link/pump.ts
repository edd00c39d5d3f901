/** What a pump looks after. */
export interface Pumped {
  /** Takes in what has come; true if anything did, or moved. */
  poll(): boolean;
  /** Whether anything more is expected. */
  due(): boolean;
  /** `sleep` lets the other side know; else it counts on this one being awake for all of its spin. */
  readonly announces: boolean;
  /** This side is about to sleep; false if there is something to do after all. */
  sleep(): boolean;
  /** It does not sleep any more. */
  awake(): void;
  /** ms after which to look again although no bell has rung, given how long nothing came; Infinity for never. */
  nap(quietMs: number): number;
}

/** At least one in so many sleeps, and one more, comes after a spin, to see whether that is worth it again. */
const MOST_SKIPPED = 3;

/**
 * When to look for messages in a process whose thread belongs to somebody else's program: nothing here
 * blocks. While something is likely to come it looks at each turn of the event loop; when
 * nothing has come for `spinUs` it sleeps, to be woken by a bell, or by a timer where there are none.
 *
 * To spin in vain is worse than to sleep at once: what it waits for may want the same core. So after a
 * spin that found nothing one is left out, after the next one three, then seven and so on, until a
 * spin finds something again. (Only where the other side can see that it sleeps.)
 */
export class Pump {
  readonly #pumped: Pumped;
  readonly #spinMs: number;
  /** How many spins are left out after one that was in vain, and how many of those are to come. */
  #skips = 0;
  #toSkip = 0;
  /** How often to look before it sleeps, however long nothing has come. */
  #looks = 0;
  #lastMoved = 0;
  #immediate: NodeJS.Immediate | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #keepAlive: ReturnType<typeof setInterval> | null = null;
  #asleep = false;

  constructor(pumped: Pumped, spinUs: number) {
    this.#pumped = pumped;
    this.#spinMs = spinUs / 1000;
  }

  /** Something was sent, or a bell has rung: look at once, at least `looks` times, and for a while. */
  wake(looks = 1): void {
    this.#looks = looks;
    if (this.#immediate !== null) return;
    this.#lastMoved = performance.now();
    this.#immediate = setImmediate(this.#turn);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Nothing is expected any more: the process may end. */
  rest(): void {
    if (this.#keepAlive === null) return;
    clearInterval(this.#keepAlive);
    this.#keepAlive = null;
  }

  readonly #turn = (): void => {
    this.#immediate = null;
    this.#timer = null;
    const wasAsleep = this.#asleep;
    if (wasAsleep) {
      this.#asleep = false;
      this.#pumped.awake();
    }
    const moved = this.#pumped.poll();
    // What came may have led to a call, and that to `wake`.
    if (this.#immediate !== null) return;
    const now = performance.now();
    if (moved) this.#lastMoved = now;
    if (moved && !wasAsleep) this.#skips = this.#toSkip = 0;
    const quiet = now - this.#lastMoved;
    const spins = this.#toSkip === 0 && quiet <= this.#spinMs && this.#pumped.due();
    if (moved || spins || --this.#looks > 0) {
      this.#immediate = setImmediate(this.#turn);
    } else {
      this.#fallAsleep(quiet);
    }
  };

  #fallAsleep(quiet: number): void {
    if (!this.#pumped.sleep()) {
      this.#immediate = setImmediate(this.#turn);
      return;
    }
    this.#asleep = true;
    if (this.#toSkip > 0) this.#toSkip--;
    else if (this.#pumped.announces) {
      this.#skips = Math.min(2 * this.#skips + 1, MOST_SKIPPED);
      this.#toSkip = this.#skips;
    }
    if (!this.#pumped.due()) return this.rest();
    const nap = this.#pumped.nap(quiet);
    if (nap !== Infinity) this.#timer = setTimeout(this.#turn, nap);
    // Timers hold 31 bits of ms; this one is there to be there.
    else this.#keepAlive ??= setInterval(() => {}, 2_000_000_000);
  }
}
