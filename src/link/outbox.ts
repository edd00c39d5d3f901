import { Fifo } from "../fifo.ts";
import type { Mpi } from "../mpi/mpi.ts";
import type { MessageWriter } from "../wire.ts";

/** Sends of one link that MPI has at a time; the others wait here, so that none is tested in vain. */
const IN_FLIGHT = 16;

/** Memory of sent messages that is kept for the next ones, in all. */
const SPARE = 64;

interface Send {
  readonly bytes: Uint8Array;
  /** The bytes are a message's, whose memory is written again once they are sent. */
  readonly ours: boolean;
}

/** What is on its way from here to one rank under one tag, in order. */
export class MpiOutbox {
  readonly #mpi: Mpi;
  readonly #rank: number;
  readonly #tag: number;
  readonly #chunkBytes: number;
  /** Shared by all links of the process. */
  readonly #spare: Uint8Array[];
  readonly #inFlight: (Send & { readonly request: number })[] = [];
  readonly #waiting = new Fifo<Send>();

  constructor(mpi: Mpi, rank: number, tag: number, chunkBytes: number, spare: Uint8Array[]) {
    this.#mpi = mpi;
    this.#rank = rank;
    this.#tag = tag;
    this.#chunkBytes = chunkBytes;
    this.#spare = spare;
  }

  /** Nothing that was sent lies in this process any more. */
  get empty(): boolean {
    return this.#inFlight.length === 0 && this.#waiting.length === 0;
  }

  /** Sends a message, and behind it its buffers, in pieces of at most `chunkBytes`. */
  send(message: MessageWriter): void {
    const { bytes, length, buffers } = message.take();
    if (this.#waiting.length > 0 || this.#inFlight.length >= IN_FLIGHT) {
      this.#waiting.push({ bytes: bytes.slice(0, length), ours: false });
    } else {
      const request = this.#mpi.send(bytes, length, this.#rank, this.#tag);
      if (request !== 0) {
        this.#inFlight.push({ request, bytes, ours: true });
        message.renew(this.#spare.pop());
      }
    }
    for (const buffer of buffers) {
      for (let at = 0; at < buffer.length; at += this.#chunkBytes) {
        const end = Math.min(buffer.length, at + this.#chunkBytes);
        this.#waiting.push({ bytes: buffer.subarray(at, end), ours: false });
      }
    }
    if (buffers.length > 0) this.advance();
  }

  /** Lets go of what has been sent, and sends on; true if anything was done. */
  advance(): boolean {
    let moved = false;
    // In order: MPI may finish a later one before, but it is not missed when it is found later.
    for (let first = this.#inFlight[0]; first && this.#mpi.test(first.request);) {
      this.#inFlight.shift();
      if (first.ours && this.#spare.length < SPARE) this.#spare.push(first.bytes);
      first = this.#inFlight[0];
      moved = true;
    }
    while (this.#inFlight.length < IN_FLIGHT) {
      const send = this.#waiting.shift();
      if (send === undefined) break;
      const request = this.#mpi.send(send.bytes, send.bytes.length, this.#rank, this.#tag);
      if (request !== 0) this.#inFlight.push({ ...send, request });
      moved = true;
    }
    return moved;
  }
}
