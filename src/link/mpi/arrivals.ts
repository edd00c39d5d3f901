import type { Mpi } from "../../mpi/mpi.ts";
import { allocate } from "../../wire/reader.ts";

/** Receives of one message's buffers that are posted at once; MPI looks through them one by one. */
const RECEIVES = 64;

/** A message whose buffers are on their way, or that came after such a message. */
interface Arrival {
  readonly bytes: Uint8Array;
  readonly buffers: Uint8Array[];
  /** Requests of posted receives, the last one first. */
  readonly requests: number[];
  /** Pieces without a posted receive: they are received when they show, the last one first. */
  readonly later: Uint8Array[];
}

/** Where the messages of a link come from. */
interface Source {
  readonly mpi: Mpi;
  /** Bytes of a piece of a buffer, which travels as one MPI message. */
  readonly chunkBytes: number;
  readonly rank: number;
  readonly tag: number;
}

/** Incoming messages of one link, in their order, each with its buffers. */
export class Arrivals {
  readonly #queue: Arrival[] = [];
  readonly #source: Source;
  readonly #onPiece: () => void;

  /** `onPiece` is called for each piece of a buffer that has come. */
  constructor(source: Source, onPiece: () => void) {
    this.#source = source;
    this.#onPiece = onPiece;
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0;
  }

  /**
   * A message has come, in memory that will be used again: starts to receive its buffers, of these
   * sizes.
   */
  push(bytes: Uint8Array, length: number, sizes: readonly number[]): void {
    const requests: number[] = [];
    const later: Uint8Array[] = [];
    const { chunkBytes } = this.#source;
    // Allocated before the first receive: if there is no memory, no receive is left open.
    const buffers = sizes.map((size) => allocate(size));
    for (const buffer of buffers) {
      for (let at = 0; at < buffer.length; at += chunkBytes) {
        const chunk = buffer.subarray(at, Math.min(buffer.length, at + chunkBytes));
        if (requests.length === RECEIVES) later.push(chunk);
        else requests.push(this.#receive(chunk));
      }
    }
    this.#queue.push({ bytes: bytes.slice(0, length), buffers, requests, later: later.reverse() });
  }

  /**
   * A message that no posted receive took, while pieces without one are due: it is the next of
   * them, for messages do not overtake. A `large` one is still at its sender. False if none is due.
   */
  takePiece(memory: Uint8Array, length: number, large: boolean): boolean {
    const arrival = this.#queue.find(({ later }) => later.length > 0);
    const piece = arrival?.later.pop();
    if (arrival === undefined || piece === undefined) return false;
    if (!large) piece.set(memory.subarray(0, Math.min(length, piece.length)));
    else arrival.requests.push(this.#receive(piece));
    return true;
  }

  /** Looks for pieces of the first message; true if any have come. */
  advance(): boolean {
    const next = this.#queue[0];
    let moved = false;
    while (next !== undefined && next.requests.length > 0) {
      if (!this.#source.mpi.test(next.requests.at(-1)!)) break;
      next.requests.pop();
      this.#onPiece();
      moved = true;
    }
    return moved;
  }

  /** Takes the first message, if all of it is there. */
  takeComplete(): { readonly bytes: Uint8Array; readonly buffers: Uint8Array[] } | undefined {
    const next = this.#queue[0];
    if (next === undefined || next.requests.length > 0 || next.later.length > 0) return undefined;
    return this.#queue.shift();
  }

  #receive(piece: Uint8Array): number {
    const { mpi, rank, tag } = this.#source;
    return mpi.receive(piece, piece.length, rank, tag);
  }
}
