import { Fifo } from "../../collections/fifo.ts";
import type { Mpi } from "../../mpi/mpi.ts";
import type { MessageWriter } from "../../wire/writer.ts";

/** Sends of one link that MPI has at a time; the others wait here, where none is tested. */
const IN_FLIGHT = 16;

/** Memory of sent messages that is kept for the next ones, in all. */
const SPARE = 64;

interface Send {
  readonly bytes: Uint8Array;
  readonly size: number;
  /** Of a piece of a buffer: the buffer, whose memory the program may have taken away since. */
  readonly buffer: Uint8Array | null;
  /** The bytes are a message's, whose memory is used again once they are sent. */
  readonly ours: boolean;
}

/** Messages on their way from here to one rank under one tag, in order. */
export class MpiOutbox {
  readonly #mpi: Mpi;
  readonly #rank: number;
  readonly #tag: number;
  readonly #chunkBytes: number;
  /** Shared by all links of the process. */
  readonly #spare: Uint8Array[];
  readonly #inFlight: (Send & { readonly request: number })[] = [];
  readonly #waiting = new Fifo<Send>();
  /** Buffers whose memory is gone: nothing more is sent of them until they were taken from here. */
  readonly torn: Uint8Array[] = [];
  #lastTorn: Uint8Array | null = null;

  constructor(mpi: Mpi, rank: number, tag: number, chunkBytes: number, spare: Uint8Array[]) {
    this.#mpi = mpi;
    this.#rank = rank;
    this.#tag = tag;
    this.#chunkBytes = chunkBytes;
    this.#spare = spare;
  }

  /** True if no sent bytes lie in this process any more. */
  get empty(): boolean {
    return this.#inFlight.length === 0 && this.#waiting.length === 0;
  }

  /** Sends a message, and behind it its buffers, in pieces of at most `chunkBytes`. */
  send(message: MessageWriter): void {
    const { bytes, length, buffers } = message.take();
    if (this.#waiting.length > 0 || this.#inFlight.length >= IN_FLIGHT) {
      this.#waiting.push(sendOf(bytes.slice(0, length)));
    } else {
      const request = this.#mpi.send(bytes, length, this.#rank, this.#tag);
      if (request !== 0) {
        this.#inFlight.push({ request, bytes, size: length, buffer: null, ours: true });
        message.renew(this.#spare.pop());
      }
    }
    for (const buffer of buffers) {
      for (let at = 0; at < buffer.length; at += this.#chunkBytes) {
        const end = Math.min(buffer.length, at + this.#chunkBytes);
        this.#waiting.push(sendOf(buffer.subarray(at, end), buffer));
      }
    }
    if (buffers.length > 0) this.advance();
  }

  /** Frees finished sends, and starts waiting ones; true if there were any. */
  advance(): boolean {
    let moved = false;
    // In order: MPI may finish a later send before, which is then found a little later.
    for (let first = this.#inFlight[0]; first && this.#mpi.test(first.request);) {
      this.#inFlight.shift();
      // The bytes that MPI has read of it meanwhile may be anything.
      if (first.buffer !== null) this.#isTorn(first);
      if (first.ours && this.#spare.length < SPARE) this.#spare.push(first.bytes);
      first = this.#inFlight[0];
      moved = true;
    }
    while (this.#inFlight.length < IN_FLIGHT) {
      const next = this.#waiting.at(0);
      if (next === undefined || this.#isTorn(next)) break;
      this.#waiting.shift();
      const send = whole(next);
      const request = this.#mpi.send(send.bytes, send.bytes.length, this.#rank, this.#tag);
      if (request !== 0) this.#inFlight.push({ ...send, request });
      moved = true;
    }
    return moved;
  }

  /** Whether it has to be reported first that its memory is gone. */
  #isTorn({ bytes, buffer, size }: Send): boolean {
    if (buffer === null || bytes.length === size) return false;
    if (this.#lastTorn !== buffer) this.torn.push(buffer);
    this.#lastTorn = buffer;
    return this.torn.length > 0;
  }
}

/** The other side has to get the bytes that were announced: zeros, if need be. */
function whole(send: Send): Send {
  const { bytes, size, buffer } = send;
  return buffer === null || bytes.length === size ? send : sendOf(new Uint8Array(size));
}

function sendOf(bytes: Uint8Array, buffer: Uint8Array | null = null): Send {
  return { bytes, size: bytes.length, buffer, ours: false };
}
