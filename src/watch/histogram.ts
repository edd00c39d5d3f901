/** Lengths of time, in ms, as `pool.stats()` shows them. A percentile is exact to 0.8 %. */
export interface Times {
  readonly count: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
}

/** Of a ms: the least length that is told from 0. */
const UNITS = 10_000;

/** Buckets to each doubling of a length. */
const PER_OCTAVE = 64;
const BITS = 6;

/** Doublings: up to 2^47 units, which is 446 years. */
const OCTAVES = 42;

/**
 * How often each length of time was met: a bucket is 1/64 of a doubling wide, as in Gil Tene's
 * HdrHistogram. Many of one length are recorded at once; count, mean, least and longest are exact.
 */
export class Histogram {
  readonly #counts = new Float64Array(PER_OCTAVE * OCTAVES);
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** ms in all. */
  get sum(): number {
    return this.#sum;
  }

  /** `count` lengths of `ms` each. One that is no number is not counted. */
  record(ms: number, count = 1): void {
    if (!(ms > -Infinity)) return;
    const length = ms > 0 ? ms : 0;
    this.#counts[bucketOf(length * UNITS)]! += count;
    this.#count += count;
    this.#sum += length * count;
    if (length < this.#min) this.#min = length;
    if (length > this.#max) this.#max = length;
  }

  get times(): Times {
    const count = this.#count;
    if (count === 0) return NONE;
    const [p50, p90, p99, p999] = this.#percentiles([0.5, 0.9, 0.99, 0.999]);
    return {
      ...{ count, mean: this.#sum / count, min: this.#min, max: this.#max },
      ...{ p50: p50!, p90: p90!, p99: p99!, p999: p999! },
    };
  }

  /** How many were met of each doubling, the shortest first: `upTo` is its end in ms. */
  get octaves(): { readonly upTo: number; readonly count: number }[] {
    return Array.from({ length: OCTAVES }, (_, i) => {
      const counts = this.#counts.subarray(i * PER_OCTAVE, (i + 1) * PER_OCTAVE);
      return {
        upTo: (PER_OCTAVE * 2 ** i) / UNITS,
        count: counts.reduce((sum, count) => sum + count, 0),
      };
    });
  }

  /** Of each share, in ascending order, the length that as many are not above. */
  #percentiles(shares: readonly number[]): number[] {
    const found: number[] = [];
    let seen = 0;
    for (let i = 0; i < this.#counts.length && found.length < shares.length; i++) {
      seen += this.#counts[i]!;
      while (found.length < shares.length && seen >= shares[found.length]! * this.#count) {
        found.push(Math.min(Math.max(middleOf(i) / UNITS, this.#min), this.#max));
      }
    }
    // Sums of fractions may fall short by a rounding.
    while (found.length < shares.length) found.push(this.#max);
    return found;
  }
}

const NONE: Times = Object.freeze({
  ...{ count: 0, mean: 0, min: 0, max: 0 },
  ...{ p50: 0, p90: 0, p99: 0, p999: 0 },
});

/** The bucket of a length in units: below 64 units each has its own. */
function bucketOf(units: number): number {
  if (units < PER_OCTAVE) return units | 0;
  // `clz32` reads 32 bits.
  const isFar = units >= 2 ** 31;
  const word = isFar ? Math.min(units / 2 ** 20, 2 ** 31 - 1) : units;
  const shift = 31 - Math.clz32(word | 0) - BITS;
  const octave = shift + 1 + (isFar ? 20 : 0);
  return Math.min(octave, OCTAVES - 1) * PER_OCTAVE + ((word >>> shift) & (PER_OCTAVE - 1));
}

/** The length in the middle of a bucket, in units. */
function middleOf(bucket: number): number {
  const octave = Math.floor(bucket / PER_OCTAVE);
  const place = bucket % PER_OCTAVE;
  if (octave === 0) return place + 0.5;
  return (PER_OCTAVE + place + 0.5) * 2 ** (octave - 1);
}
