import { DIGEST } from "../codec/value.ts";
import { bindToProcess } from "../codec/refusal.ts";
import { keepWhole } from "../os/whole.ts";

/** Where a `Shared` has its value from: the pool on its controller, or its session on a worker. */
export interface SharedOwner {
  /** The value of that number; throws a `ValueError` where there is none any more. */
  valueOf(id: number): unknown;
  free(id: number): void;
  /** A number that differs where the content does. */
  digestOf(id: number): number;
}

let readId: (value: object, owner: SharedOwner) => number | null;

/**
 * A value that was sent to each host once: an argument of a few bytes. `pool.share` makes it.
 *
 * @example
 * using weights = await pool.share(new Float32Array(100_000_000));
 * const scores = await pool.map((i: number, w = weights) => score(w.value, i), indices);
 */
export class Shared<T> implements Disposable {
  readonly #id: number;
  readonly #owner: SharedOwner;

  /** @internal `pool.share` makes it. */
  constructor(id: number, owner: SharedOwner) {
    if (typeof owner !== "object") {
      throw new TypeError("Cannot make a Shared with `new`: await pool.share(value)");
    }
    this.#id = id;
    this.#owner = owner;
  }

  /**
   * The value: the original where it was shared, and in a task this worker's own, decoded when it
   * is first asked for and the same for all tasks there. Arrays of 64 KiB and more lie in memory
   * that all workers of a host have in common, until they are written to: what is written there no
   * other process sees. Throws `ValueError` once it is freed, or its pool is over.
   */
  get value(): T {
    return this.#owner.valueOf(this.#id) as T;
  }

  /**
   * Gives the memory back, on all hosts: who asks for the value from now on gets a `ValueError`,
   * and what a task has of it stays as long as it is used. In a task it lets go what this worker
   * has: the next task that asks there has it decoded anew. May be called again.
   */
  free(): void {
    this.#owner.free(this.#id);
  }

  /** `using` frees. */
  [Symbol.dispose](): void {
    this.free();
  }

  /** For checkpoints, whose items may hold it. */
  [DIGEST](): number {
    return this.#owner.digestOf(this.#id);
  }

  static {
    readId = (value, owner) => (#id in value && value.#owner === owner ? value.#id : null);
  }
}

/** The number of a shared value of this owner; null for any other value. */
export function idOfShared(value: object, owner: SharedOwner): number | null {
  return readId(value, owner);
}

keepWhole([Shared.prototype]);

bindToProcess(
  Shared,
  "it belongs to the pool that has shared it: share its value with this pool, too",
);
