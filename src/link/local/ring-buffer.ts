import { Atomics } from "../../os/natives.ts";
import { TaskWord } from "../task-word.ts";
import { malformed } from "../../wire/frame-layout.ts";

/**
 * A ring buffer of records in shared memory: one process writes, one other reads, neither waits.
 *
 *   u32 written │ u32 read │ u32 reader asleep │ u32 writer waits │ task word │ records …
 *   (each on a cache line of its own)
 *   record = u32 length, u32 kind, bytes, up to a multiple of 8
 *
 * A record lies in one piece, so that it can be read where it lies; what is left at the end is
 * skipped. The positions count bytes and run on modulo 2^32. Nothing that the other side may have
 * written is trusted: a length that does not fit is an error, never a place to read from, and each
 * end knows by itself how far it has come.
 */
export const RING_HEADER = 320;

/** Kinds of records: a message; a piece of a buffer that belongs to the last message; nothing. */
export const Piece = { Message: 1, Buffer: 2, Skip: 3 } as const;

const WRITTEN = 0;
const READ = 16;
const ASLEEP = 32;
const WAITING = 48;
/** Where the task word is, in words. */
export const TASK_WORD = 64;
const RECORD_HEADER = 8;

/** One end of a ring. `memory` is its header and a number of bytes that is a power of two. */
export class RingBuffer {
  readonly capacity: number;
  /** The reports of the writer. */
  readonly taskWord: TaskWord;
  readonly #header: Int32Array;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  /** The position that this end moves. */
  #own = 0;
  /** What this end knows of the position that the other one moves. */
  #seen = 0;

  constructor(memory: Uint8Array) {
    this.capacity = memory.length - RING_HEADER;
    this.#mask = this.capacity - 1;
    const { buffer, byteOffset } = memory;
    this.#header = new Int32Array(buffer, byteOffset, RING_HEADER / 4);
    this.taskWord = new TaskWord(this.#header.subarray(TASK_WORD, TASK_WORD + 2));
    this.#words = new Uint32Array(buffer, byteOffset + RING_HEADER, this.capacity / 4);
    this.#bytes = new Uint8Array(buffer, byteOffset + RING_HEADER, this.capacity);
  }

  /**
   * Writes one record; false if there is no room for it now. Throws a `BsyncError` if the position
   * of the reader is impossible.
   */
  write(kind: number, bytes: Uint8Array, start: number, length: number): boolean {
    const written = this.#own;
    const need = RECORD_HEADER + ((length + 7) & ~7);
    let at = written & this.#mask;
    const left = this.capacity - at;
    const total = left < need ? left + need : need;
    if (this.#room(written) < total) return false;
    if (left < need) {
      this.#words[at >> 2] = left - RECORD_HEADER;
      this.#words[(at >> 2) + 1] = Piece.Skip;
      at = 0;
    }
    this.#words[at >> 2] = length;
    this.#words[(at >> 2) + 1] = kind;
    const to = at + RECORD_HEADER;
    if (length < 64) {
      for (let i = 0; i < length; i++) this.#bytes[to + i] = bytes[start + i]!;
    } else {
      this.#bytes.set(
        start === 0 && length === bytes.length ? bytes : bytes.subarray(start, start + length),
        to,
      );
    }
    this.#own = (written + total) >>> 0;
    Atomics.store(this.#header, WRITTEN, this.#own | 0);
    return true;
  }

  /** The longest record there is room for now, at most `most` bytes. */
  longest(most: number): number {
    const written = this.#own;
    const room = this.#room(written);
    const left = this.capacity - (written & this.#mask);
    // Up to the end; or, past it, at the beginning.
    const fits = Math.max(Math.min(room, left), room - left) - RECORD_HEADER;
    return Math.min(most, Math.max(0, fits & ~7));
  }

  /**
   * Hands over the next record where it lies, good until `take` returns; false if there is none.
   * Throws a `BsyncError` if the record is impossible.
   */
  read(take: (kind: number, bytes: Uint8Array, start: number, length: number) => void): boolean {
    // A gap comes once in a lap: a side that writes gap after gap does not keep the reader here.
    for (let gaps = 0; gaps < 2; gaps++) {
      const read = this.#own;
      if (read === this.#seen) {
        this.#seen = Atomics.load(this.#header, WRITTEN) >>> 0;
        if (read === this.#seen) return false;
      }
      const available = (this.#seen - read) >>> 0;
      const at = read & this.#mask;
      const length = this.#words[at >> 2]!;
      const kind = this.#words[(at >> 2) + 1]!;
      const size = RECORD_HEADER + length + (-length & 7);
      if (size > available || available > this.capacity || at + size > this.capacity) {
        throw malformed(`a record of ${length} bytes where ${available} were written`);
      }
      try {
        if (kind !== Piece.Skip) take(kind, this.#bytes, at + RECORD_HEADER, length);
      } finally {
        this.#own = (read + size) >>> 0;
        Atomics.store(this.#header, READ, this.#own | 0);
      }
      if (kind !== Piece.Skip) return true;
    }
    return false;
  }

  /** Where the reader is. */
  get position(): number {
    return Atomics.load(this.#header, READ) >>> 0;
  }

  /** For the writer: whether the reader has read all there is. */
  get drained(): boolean {
    return Atomics.load(this.#header, READ) >>> 0 === this.#own;
  }

  /** Whether there is something to read. */
  get readable(): boolean {
    return Atomics.load(this.#header, WRITTEN) >>> 0 !== this.#own;
  }

  /** The reader says that it sleeps (and has to be woken), or that it does not. */
  sleep(asleep: boolean): void {
    Atomics.store(this.#header, ASLEEP, asleep ? 1 : 0);
  }

  /** True once for each time the reader went to sleep: then it has to be woken. */
  takeAsleep(): boolean {
    return this.#header[ASLEEP] !== 0 && Atomics.exchange(this.#header, ASLEEP, 0) !== 0;
  }

  /** The writer says that it waits for room. */
  wait(waiting: boolean): void {
    Atomics.store(this.#header, WAITING, waiting ? 1 : 0);
  }

  /** True once for each time the writer began to wait: then it has to be woken. */
  takeWaiting(): boolean {
    return this.#header[WAITING] !== 0 && Atomics.exchange(this.#header, WAITING, 0) !== 0;
  }

  /** Bytes that may be written; asks for the reader's position only if it has to. */
  #room(written: number): number {
    let used = (written - this.#seen) >>> 0;
    if (used * 2 > this.capacity) {
      this.#seen = Atomics.load(this.#header, READ) >>> 0;
      used = (written - this.#seen) >>> 0;
    }
    if (used <= this.capacity) return this.capacity - used;
    throw malformed(`it is read at ${this.#seen}, where nothing is: ${written} bytes were written`);
  }
}
