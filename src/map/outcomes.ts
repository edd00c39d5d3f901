/** Of an item that is not there yet. */
export const PENDING = Symbol("pending");

/** The outcome of an item that has failed. */
export class Failure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** Outcomes by their places, from any place on in any order; read from the first one on. */
export class Outcomes {
  #slots: unknown[] = new Array(SLOTS).fill(PENDING);
  #next = 0;

  /** The place that is read next. */
  get next(): number {
    return this.#next;
  }

  /** The outcome at a place that was not read yet. */
  put(place: number, outcome: unknown): void {
    while (place - this.#next >= this.#slots.length) this.#grow();
    this.#slots[place & (this.#slots.length - 1)] = outcome;
  }

  /** The outcomes at consecutive places. */
  putAll(place: number, outcomes: readonly unknown[]): void {
    const { length } = outcomes;
    while (place + length - this.#next > this.#slots.length) this.#grow();
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let i = 0; i < length; i++) slots[(place + i) & mask] = outcomes[i];
  }

  /** Takes the next outcome; `PENDING` where it is not there. */
  take(): unknown {
    const slots = this.#slots;
    const at = this.#next & (slots.length - 1);
    const outcome = slots[at];
    if (outcome === PENDING) return PENDING;
    slots[at] = PENDING;
    this.#next++;
    return outcome;
  }

  #grow(): void {
    const old = this.#slots;
    const slots: unknown[] = new Array(2 * old.length).fill(PENDING);
    for (let i = 0; i < old.length; i++) {
      const place = this.#next + i;
      slots[place & (slots.length - 1)] = old[place & (old.length - 1)];
    }
    this.#slots = slots;
  }
}

/** A power of two, as every number of slots is. Places are below 2^31 of each other. */
const SLOTS = 1024;
