/** Items that were used in one period, and their weight. */
interface Generation<V> {
  items: Map<unknown, V>;
  weight: number;
}

/**
 * A bounded cache: items that were not used for long go. Not one by one, which would keep a list in
 * order at each use, but by halves: when the younger half is full, the rest of the older one goes.
 */
export class Recent<K, V> {
  readonly #half: number;
  #young: Generation<V> = { items: new Map(), weight: 0 };
  #old: Generation<V> = { items: new Map(), weight: 0 };
  readonly #weigh: (value: V) => number;

  /** Each half takes items up to a weight of `half`, and the last of them whatever it weighs. */
  constructor(half: number, weigh: (value: V) => number = () => 1) {
    this.#half = half;
    this.#weigh = weigh;
  }

  get size(): number {
    return this.#young.items.size + this.#old.items.size;
  }

  /** Whether the next item makes others go: call `turn` first. */
  get isFull(): boolean {
    return this.#young.weight >= this.#half;
  }

  /** The value of `key`, which counts as used. */
  get(key: K): V | undefined {
    const value = this.#young.items.get(key);
    if (value !== undefined) return value;
    const older = this.#old.items.get(key);
    if (older === undefined) return undefined;
    this.#old.items.delete(key);
    this.set(key, older);
    return older;
  }

  /** Adds a key that is not there. */
  set(key: K, value: V): void {
    this.#young.items.set(key, value);
    this.#young.weight += this.#weigh(value);
  }

  /** Drops the items that were not used since the last call, and returns them. */
  turn(): Iterable<V> {
    const gone = this.#old.items;
    this.#old = this.#young;
    this.#young = { items: new Map(), weight: 0 };
    return gone.values();
  }
}
