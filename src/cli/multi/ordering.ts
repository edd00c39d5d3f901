/** The order in which what jobs leave is dealt with: of their ends, or of their starts. */
import { FirstOfSet } from "../../collections/first-of-set.ts";

export class Ordering<T> {
  readonly #keepsOrder: boolean;
  /** In the order of their starts; only where that is kept. */
  readonly #begun = new Set<T>();
  readonly #first = new FirstOfSet(this.#begun);
  readonly #ready = new Set<T>();

  constructor(keepsOrder: boolean) {
    this.#keepsOrder = keepsOrder;
  }

  begin(item: T): void {
    if (this.#keepsOrder) this.#begun.add(item);
  }

  /** The one whose turn it is, whether or not it has ended. */
  get front(): T | undefined {
    return this.#first.peek();
  }

  /** An item has ended; yields those whose turn has come with it. */
  *end(item: T): Generator<T> {
    if (!this.#keepsOrder) return void (yield item);
    this.#ready.add(item);
    yield* this.#turn();
  }

  /** An item is not waited for any more; yields those that waited for it. */
  *drop(item: T): Generator<T> {
    this.#begun.delete(item);
    yield* this.#turn();
  }

  *#turn(): Generator<T> {
    for (;;) {
      const { front } = this;
      if (front === undefined || !this.#ready.delete(front)) return;
      this.#begun.delete(front);
      yield front;
    }
  }
}
