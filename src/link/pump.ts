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

/** Looks at one turn: a turn of the event loop takes 0.8 µs, a look 0.02 (MPI: 0.2). */
const LOOKS = 10;

/** Spins in vain, in a row, that are a reason to leave some out; one may be a pause of the other side's. */
const VAIN = 2;

/** How many are left out then, before another one is tried. */
const LEFT_OUT = 3;

/**
 * When to look for messages in a process whose thread belongs to somebody else's program: nothing here
 * blocks. While something is likely to come it looks at each turn of the event loop; when
 * nothing has come for `spinUs` it sleeps, to be woken by a bell, or by a timer where there are none.
 *
 * To spin in vain is worse than to sleep at once: what it waits for may want the same core. So after
 * some spins that found nothing most are left out, until one finds something again. (Only where the
 * other side can see that it sleeps. A spin has to be longer than a sleeper takes to wake, or two sides
 * send each other to sleep.)
 */
export class Pump {
  readonly #pumped: Pumped;
  readonly #spinMs: number;
  /** How many spins in a row were in vain, and how many are to be left out now. */
  #vain = 0;
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

  /** Something was sent: look at the next turn, at least `looks` times, and for a while. */
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

  /** A bell has rung: looks at once. */
  readonly onBell = (): void => {
    if (!this.#asleep || this.#immediate !== null) return this.wake();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#lastMoved = performance.now();
    this.#turn();
  };

  readonly #turn = (): void => {
    this.#immediate = null;
    this.#timer = null;
    const wasAsleep = this.#asleep;
    if (wasAsleep) {
      this.#asleep = false;
      this.#pumped.awake();
    }
    let moved = this.#pumped.poll();
    if (this.#toSkip === 0) for (let i = 1; !moved && i < LOOKS; i++) moved = this.#pumped.poll();
    // What came may have led to a call, and that to `wake`.
    if (this.#immediate !== null) return;
    const now = performance.now();
    if (moved) this.#lastMoved = now;
    if (moved && !wasAsleep) this.#vain = this.#toSkip = 0;
    // It was roused for something that is about to come.
    if (wasAsleep && !moved) this.#toSkip = 0;
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
    if (!this.#pumped.due()) return this.rest();
    if (this.#toSkip > 0) this.#toSkip--;
    else if (this.#pumped.announces && ++this.#vain >= VAIN) this.#toSkip = LEFT_OUT;
    const nap = this.#pumped.nap(quiet);
    if (nap !== Infinity) this.#timer = setTimeout(this.#turn, nap);
    // Timers hold 31 bits of ms; this one is there to be there.
    else this.#keepAlive ??= setInterval(() => {}, 2_000_000_000);
  }
}
