/** Bars to each ten times as long, and from which length on. */
const PER_DECADE = 5;
const FIRST_MS = 1e-3;
const COUNT = 13 * PER_DECADE;

export interface Bar {
  /** ms; the first one begins at 0. */
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** A histogram to look at: each bar is 58 % longer than the one before. */
export class Bars {
  readonly #counts = new Float64Array(COUNT);

  record(ms: number, count = 1): void {
    const place = ms <= FIRST_MS ? 0 : Math.ceil(Math.log10(ms / FIRST_MS) * PER_DECADE);
    this.#counts[Math.min(place, COUNT - 1)]! += count;
  }

  /** From the first to the last that has something. */
  get all(): Bar[] {
    const first = this.#counts.findIndex((count) => count > 0);
    const last = this.#counts.findLastIndex((count) => count > 0);
    return Array.from(this.#counts.subarray(Math.max(0, first), last + 1), (count, i) => {
      const place = i + first;
      const to = FIRST_MS * 10 ** (place / PER_DECADE);
      return { from: place === 0 ? 0 : to / 10 ** (1 / PER_DECADE), to, count };
    });
  }
}
