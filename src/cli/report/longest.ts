/** How many of the largest are kept. */
const KEPT = 4_000;

/** The largest of very many, in memory for two times as many as are kept. */
export class Longest<T> {
  readonly #sizeOf: (one: T) => number;
  #all: T[] = [];
  #least = -Infinity;
  #dropped = 0;

  constructor(sizeOf: (one: T) => number) {
    this.#sizeOf = sizeOf;
  }

  /** How many were not kept. */
  get dropped(): number {
    return this.#dropped + Math.max(0, this.#all.length - KEPT);
  }

  /** The largest first. */
  get all(): readonly T[] {
    this.#cut();
    return this.#all;
  }

  add(one: T): void {
    if (this.#sizeOf(one) <= this.#least) {
      this.#dropped++;
      return;
    }
    this.#all.push(one);
    if (this.#all.length >= 2 * KEPT) this.#cut();
  }

  #cut(): void {
    this.#all.sort((a, b) => this.#sizeOf(b) - this.#sizeOf(a));
    if (this.#all.length < KEPT) return;
    this.#dropped += this.#all.length - KEPT;
    this.#all.length = KEPT;
    this.#least = this.#sizeOf(this.#all.at(-1)!);
  }
}
