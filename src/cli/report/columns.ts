/** ms of the first columns. */
const NARROWEST_MS = 0.01;

/**
 * How much of something there was at each time, in columns of one width. Whenever time goes beyond
 * the last column, the width is doubled: so memory is fixed, however long the trace is.
 */
export class Columns {
  #width = NARROWEST_MS;
  /** What covers parts of columns; and where what covers whole ones begins and ends. */
  #parts: Float64Array;
  #steps: Float64Array;

  constructor(count: number) {
    this.#parts = new Float64Array(count);
    this.#steps = new Float64Array(count);
  }

  /** ms. */
  get width(): number {
    return this.#width;
  }

  /** `level` of it from `begin` to `end`, in ms from 0 on. */
  add(begin: number, end: number, level = 1): void {
    if (!(end > begin)) return;
    this.reach(end);
    const width = this.#width;
    const [first, last] = [Math.floor(begin / width), Math.floor(end / width)];
    if (first === last) {
      this.#parts[first]! += (end - begin) * level;
      return;
    }
    this.#parts[first]! += ((first + 1) * width - begin) * level;
    this.#parts[last]! += (end - last * width) * level;
    this.#steps[first + 1]! += level;
    this.#steps[last]! -= level;
  }

  /** Makes columns wide enough for a time. */
  reach(end: number): void {
    const count = this.#parts.length;
    if (end < this.#width * count || !(end < Infinity)) return;
    const values = this.values();
    let shift = 0;
    for (; end >= this.#width * count; shift++) this.#width *= 2;
    this.#steps.fill(0);
    this.#parts.fill(0);
    for (let i = 0; i < count; i++) this.#parts[shift > 30 ? 0 : i >> shift]! += values[i]!;
  }

  /** Of each column level times ms. */
  values(): Float64Array {
    const values = new Float64Array(this.#parts.length);
    let level = 0;
    for (let i = 0; i < values.length; i++) {
      level += this.#steps[i]!;
      const value = this.#parts[i]! + level * this.#width;
      // Sums of fractions may end beside 0.
      values[i] = value > 0 ? value : 0;
    }
    return values;
  }
}
