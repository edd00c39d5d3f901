/** What was used lately: the one before it, and the one that is being filled. */
interface Generation<V> {
  items: Map<unknown, V>;
  weight: number;
}

/**
 * A cache with a bound: what was not used for long goes. Not one by one, which would take a list to
 * be kept in order at each use, but by halves: when the younger one is full, what is left of the
 * older one goes.
 */
export class Recent<K, V> {
  readonly #half: number;
  #young: Generation<V> = { items: new Map(), weight: 0 };
  #old: Generation<V> = { items: new Map(), weight: 0 };
  readonly #weigh: (value: V) => number;

  /** Holds what weighs `half` and some more twice; one item more is never too much. */
  constructor(half: number, weigh: (value: V) => number = () => 1) {
    this.#half = half;
    this.#weigh = weigh;
  }

  get size(): number {
    return this.#young.items.size + this.#old.items.size;
  }

  /** Whether the next one makes others go: `turn` first. */
  get isFull(): boolean {
    return this.#young.weight >= this.#half;
  }

  /** What is there under `key`; it counts as used. */
  get(key: K): V | undefined {
    const value = this.#young.items.get(key);
    if (value !== undefined) return value;
    const older = this.#old.items.get(key);
    if (older === undefined) return undefined;
    this.#old.items.delete(key);
    this.set(key, older);
    return older;
  }

  /** Adds what is not there. */
  set(key: K, value: V): void {
    this.#young.items.set(key, value);
    this.#young.weight += this.#weigh(value);
  }

  /** Lets go of what was not used since it was last called, and returns that. */
  turn(): Iterable<V> {
    const gone = this.#old.items;
    this.#old = this.#young;
    this.#young = { items: new Map(), weight: 0 };
    return gone.values();
  }
}
