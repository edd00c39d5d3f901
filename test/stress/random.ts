/** Random numbers that are the same for the same seed (Marsaglia's xorshift, 32 bits). */
export class Random {
  #state: number;

  constructor(seed: number) {
    // Neighbouring seeds are far apart, and none is zero.
    this.#state = Math.imul(seed + 1, 0x9e37_79b1) | 1;
    for (let i = 0; i < 8; i++) this.next();
  }

  /** From 0 to 1, without 1. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) / 2 ** 32;
  }

  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** True in the given share of all cases. */
  chance(share: number): boolean {
    return this.next() < share;
  }

  /** An integer from 1 to `most`, as often of one length as of any other. */
  ofAnyLength(most: number): number {
    return Math.round(most ** this.next());
  }
}
