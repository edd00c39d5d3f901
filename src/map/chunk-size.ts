/**
 * µs that a chunk is to take: some tens of times the cost of a message on both sides, where one has
 * to be woken for it (20 to 50 µs). A worker has two or three: together they last for as long as a
 * controller without a core of its own may have to wait for one. So long may an urgent task wait.
 */
const CHUNK_US = 1_000;

/**
 * With many workers chunks take so many µs for each of them, as the controller sends and receives
 * one message of each in that time. An urgent task does not wait for longer: it takes the first
 * worker that ends a chunk.
 */
const CHUNK_US_PER_WORKER = 10;
const LONGEST_CHUNK_US = 5_000;

/** The most items of a chunk: as many numbers are 32 KiB. Of one chunk for each worker. */
const MOST_ITEMS = 4096;
const MOST_ITEMS_OF_ALL = 1 << 20;

/** The weight of the last whole chunk in the mean. */
const WEIGHT = 0.3;

/**
 * How many items of a map travel together. It begins with one and at most doubles; where items turn
 * out to be longer it shrinks at once. Pure: the times are arguments.
 */
export class ChunkSize {
  #size = 1;
  /** µs of an item, and how far chunks are off that; NaN before the first was measured. */
  #mean = NaN;
  #deviation = 0;
  /** Items that were measured since the size has changed. */
  #seen = 0;
  /** µs that a chunk is to take, and its items at most. */
  readonly #us: number;
  readonly #most: number;

  constructor(workers = 1) {
    this.#us = Math.max(CHUNK_US, Math.min(workers * CHUNK_US_PER_WORKER, LONGEST_CHUNK_US));
    this.#most = Math.max(1, Math.min(MOST_ITEMS, Math.floor(MOST_ITEMS_OF_ALL / workers)));
  }

  /** Calls of `count` items have taken `elapsed` µs. */
  observe(count: number, elapsed: number): void {
    if (!(elapsed >= 0 && elapsed < Infinity && count >= 1)) return;
    const mean = elapsed / count;
    if (Number.isNaN(this.#mean)) this.#mean = mean;
    // A few items that have taken as long as a chunk say as much as one.
    const weight = WEIGHT * Math.min(1, Math.max(count / this.#size, elapsed / this.#us));
    this.#deviation += weight * (Math.abs(mean - this.#mean) - this.#deviation);
    this.#mean += weight * (mean - this.#mean);
    this.#seen += count;
    const wanted = this.#wanted();
    if (wanted < this.#size) this.#size = wanted;
    else if (this.#seen >= this.#size) this.#size = Math.min(wanted, 2 * this.#size);
    else return;
    this.#seen = 0;
  }

  /**
   * Items for the next chunk: at most half of an equal share of those that are `left`, as far as
   * that is known (factoring: Hummel, Schonberg and Flynn, 1992), and so few that `window` items
   * are two chunks for each worker.
   */
  next(left: number | null, workers: number, window: number): number {
    const share = left === null ? Infinity : Math.ceil(left / (2 * workers));
    return Math.max(1, Math.min(this.#size, share, Math.floor(window / (2 * workers))));
  }

  get size(): number {
    return this.#size;
  }

  /** Fewer where chunks differ much: the next may be far longer than the mean says. */
  #wanted(): number {
    const spread = this.#mean > 0 ? Math.min(this.#deviation / this.#mean, 100) : 0;
    const items = this.#us / Math.max(this.#mean, 1e-3) / (spread > 1 ? spread : 1);
    return Math.max(1, Math.min(this.#most, Math.floor(items)));
  }
}
