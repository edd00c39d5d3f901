import { ChunkSize } from "./chunk-size.ts";
import type { MapPool } from "./map-call.ts";
import type { MapSettings } from "./settings.ts";

/** Items in flight by default, at least; and bytes of results that wait for their reader. */
const WINDOW = 1024;
const WINDOW_BYTES = 64 * 1024 * 1024;

/** Chunks for each worker that are not settled: two or three are at the worker. */
const CHUNKS_AHEAD = 4;

/** How many items of a map are taken, and how many travel together. */
export class Flow {
  readonly #pool: MapPool;
  readonly #settings: MapSettings;
  /** Items in all, as far as that is known. */
  readonly #total: number | null;
  readonly #sizes: ChunkSize;
  /** Visible bytes of a result, a moving estimate. */
  #resultBytes = 0;
  /** Items of the last chunk, if it was full by their bytes. */
  #packed = Infinity;
  /** Whether each item travels by itself. */
  readonly #isSingle: boolean;

  constructor(pool: MapPool, settings: MapSettings, total: number | null) {
    this.#pool = pool;
    this.#settings = settings;
    this.#total = total;
    this.#sizes = new ChunkSize(pool.workers);
    const { timeout, retryOn } = settings.task;
    // A timeout begins with its call, and some workers are replaced between two.
    this.#isSingle = timeout !== Infinity || retryOn !== null || !pool.takesChunks;
  }

  /** Calls of `count` items have taken `elapsed` µs. */
  observe(count: number, elapsed: number): void {
    this.#sizes.observe(count, elapsed);
  }

  /** A chunk is full, with so many items: by their number, or as they are `large`. */
  packed(count: number, isLarge: boolean): void {
    this.#packed = isLarge ? count : Infinity;
  }

  /** Results have come, of so many visible bytes together. */
  weigh(count: number, bytes: number): void {
    // The largest soon count, small ones among them only in time.
    const mean = bytes / count;
    const weight = mean > this.#resultBytes ? 0.5 : 1 / 16;
    this.#resultBytes += weight * (mean - this.#resultBytes);
  }

  /** How many more items may be in flight, with results of so many bytes that are not read. */
  room(inFlight: number, bytes: number): number {
    return bytes > WINDOW_BYTES ? 1 - inFlight : this.#window - inFlight;
  }

  /** The room for which it is worth to take items again. */
  get refill(): number {
    return Math.max(1, Math.min(this.#size, this.#window / 2));
  }

  /** How many items may be taken and not settled: as many as the workers could soon use. */
  get ahead(): number {
    if (this.#settings.inFlight !== null) return Infinity;
    return CHUNKS_AHEAD * this.#pool.workers * this.#size;
  }

  /** Items for the next chunk, which begins with the one of that place. */
  nextSize(index: number): number {
    if (this.#isSingle) return 1;
    if (this.#settings.chunk !== null) return this.#settings.chunk;
    const left = this.#total === null ? null : Math.max(0, this.#total - index);
    return this.#sizes.next(left, this.#pool.workers, this.#window);
  }

  /** How many items travel together, as far as is known. */
  get #size(): number {
    if (this.#isSingle) return 1;
    return Math.min(this.#settings.chunk ?? this.#sizes.size, this.#packed);
  }

  /** Those with large results are fewer, and enough for each worker to have its next. */
  get #window(): number {
    const { workers } = this.#pool;
    const window = this.#settings.inFlight ?? Math.max(WINDOW, 8 * workers * this.#size);
    const perBytes = Math.floor(WINDOW_BYTES / this.#resultBytes);
    return Math.min(window, Math.max(2 * workers, perBytes));
  }
}
