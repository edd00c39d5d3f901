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

/** Of so many sleeps one comes after a full spin, to see whether that is worth it again. */
const PROBE = 32;

/**
 * When to look for messages in a process whose thread belongs to somebody else's program: nothing here
 * blocks. While something is likely to come it looks at each turn of the event loop; when
 * nothing has come for `spinUs` it sleeps, to be woken by a bell, or by a timer where there are none.
 *
 * To spin in vain is worse than to sleep at once: what it waits for may want the same core. So each
 * time that it had to sleep after all it spins for less the next time, down to nothing, until a
 * spin finds something again. (Only where the other side can see that it sleeps.)
 */
export class Pump {
  readonly #pumped: Pumped;
  readonly #spinMs: number;
  /** ms to look for now, at most `#spinMs`: less where that was in vain. */
  #budgetMs: number;
  #sleeps = 0;
  #lastMoved = 0;
  #immediate: NodeJS.Immediate | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #keepAlive: ReturnType<typeof setInterval> | null = null;
  #asleep = false;

  constructor(pumped: Pumped, spinUs: number) {
    this.#pumped = pumped;
    this.#spinMs = spinUs / 1000;
    this.#budgetMs = this.#spinMs;
  }

  /** Something was sent, or a bell has rung: look at once, and for a while. */
  wake(): void {
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
    if (moved && !wasAsleep) this.#budgetMs = this.#spinMs;
    const quiet = now - this.#lastMoved;
    if (moved || (quiet <= this.#budgetMs && this.#pumped.due())) {
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
    if (this.#pumped.announces) {
      this.#budgetMs = ++this.#sleeps % PROBE === 0 ? this.#spinMs : this.#budgetMs / 4;
    }
    if (!this.#pumped.due()) return this.rest();
    const nap = this.#pumped.nap(quiet);
    if (nap !== Infinity) this.#timer = setTimeout(this.#turn, nap);
    // Timers hold 31 bits of ms; this one is there to be there.
    else this.#keepAlive ??= setInterval(() => {}, 2_000_000_000);
  }
}
