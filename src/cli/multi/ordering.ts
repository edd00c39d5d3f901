/** The order in which what jobs leave is dealt with: of their ends, or of their starts. */

export class Ordering<T> {
  readonly #keepsOrder: boolean;
  /** In the order of their starts; only where that is kept. */
  readonly #begun: T[] = [];
  readonly #ready = new Set<T>();

  constructor(keepsOrder: boolean) {
    this.#keepsOrder = keepsOrder;
  }

  begin(item: T): void {
    if (this.#keepsOrder) this.#begun.push(item);
  }

  /** The one whose turn it is, whether or not it has ended. */
  get front(): T | undefined {
    return this.#begun[0];
  }

  /** An item has ended; yields those whose turn has come with it. */
  *end(item: T): Generator<T> {
    if (!this.#keepsOrder) return void (yield item);
    this.#ready.add(item);
    yield* this.#turn();
  }

  /** An item is not waited for any more; yields those that waited for it. */
  *drop(item: T): Generator<T> {
    const at = this.#begun.indexOf(item);
    if (at >= 0) this.#begun.splice(at, 1);
    yield* this.#turn();
  }

  *#turn(): Generator<T> {
    while (this.#begun.length > 0 && this.#ready.delete(this.#begun[0]!)) {
      yield this.#begun.shift()!;
    }
  }
}
