import type { Chunk } from "../scheduler/chunk.ts";
import type { MapPool } from "./map-call.ts";

/** Chunks that are kept at least, before settled ones are swept out. */
const SWEEP_AT = 64;

/** The chunks of a map that may not be settled. */
export class LiveChunks {
  readonly #pool: MapPool;
  readonly #chunks = new Set<Chunk>();
  #sweepAt = SWEEP_AT;

  constructor(pool: MapPool) {
    this.#pool = pool;
  }

  add(chunk: Chunk): void {
    this.#chunks.add(chunk);
    if (this.#chunks.size <= this.#sweepAt) return;
    for (const chunk of this.#chunks) if (chunk.settled) this.#chunks.delete(chunk);
    this.#sweepAt = SWEEP_AT + 2 * this.#chunks.size;
  }

  /** Cancels those whose items are all from that place on. */
  cancelFrom(index: number): void {
    for (const chunk of this.#chunks) {
      if (chunk.index < index || chunk.settled) continue;
      this.#chunks.delete(chunk);
      this.#pool.cancel(chunk, "its map has ended");
    }
  }
}
