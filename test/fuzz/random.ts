/** Numbers that look random and come again: the same seed, the same numbers (xorshift128, Marsaglia). */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** Seeds that differ in any bit give other numbers from the first on. */
  constructor(...seeds: number[]) {
    let hash = 0x9e37_79b9;
    const mix = (word: number) => {
      hash = Math.imul(hash ^ word, 0x85eb_ca6b);
      hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
      return (hash ^= hash >>> 16);
    };
    for (const seed of seeds) mix(seed | 0);
    [this.#a, this.#b, this.#c, this.#d] = [mix(1), mix(2), mix(3), mix(4) | 1];
  }

  /** A whole number from 0 to 2^32 - 1. */
  word(): number {
    let t = this.#d;
    const s = this.#a;
    [this.#d, this.#c, this.#b] = [this.#c, this.#b, s];
    t ^= t << 11;
    t ^= t >>> 8;
    this.#a = t ^ s ^ (s >>> 19);
    return this.#a >>> 0;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return this.word() % limit;
  }

  /** True once in so many times. */
  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  /** A number that is likely to hurt: small, a power of two and its neighbours, or any. */
  nasty(): number {
    switch (this.below(4)) {
      case 0:
        return this.below(16);
      case 1:
        return (2 ** this.below(33) + this.below(3) - 1) >>> 0;
      default:
        return this.word();
    }
  }
}

/** Bytes with a few of them changed: flipped, overwritten by a number of 1 to 8 bytes, copied from elsewhere, cut off. */
export function mutate(random: Random, bytes: Uint8Array): Uint8Array {
  let mutated = bytes.slice();
  for (let changes = 1 + random.below(4); changes > 0 && mutated.length > 0; changes--) {
    const at = random.below(mutated.length);
    const view = new DataView(mutated.buffer, mutated.byteOffset, mutated.byteLength);
    switch (random.below(7)) {
      case 0:
        mutated[at]! ^= 1 << random.below(8);
        break;
      case 1:
        mutated[at] = random.word();
        break;
      case 2:
        if (at + 4 <= mutated.length) view.setUint32(at, random.nasty(), true);
        break;
      case 3:
        if (at + 4 <= mutated.length) view.setUint32(at, random.nasty(), false);
        break;
      case 4:
        if (at + 8 <= mutated.length) {
          view.setFloat64(at, random.pick([NaN, -1, 2 ** 53, 1e300, random.nasty()]), true);
        }
        break;
      case 5:
        mutated.copyWithin(at, random.below(mutated.length), random.below(mutated.length));
        break;
      case 6:
        mutated = mutated.slice(0, at);
    }
  }
  return mutated;
}
