/**
 * Reads the events of a trace of any size, piece by piece: only the event that is being read is
 * kept. What was cut off ends where its last whole event does.
 */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { createGunzip, constants } from "node:zlib";

/** An event as it stands in the file: nothing about it is certain. */
export type Event = Readonly<Record<string, unknown>>;

/** Why a file is no trace; the text says so behind "the file …". */
export class NoTrace extends Error {}

export interface Reading {
  /** Whether the file ended as a trace does. */
  isWhole: boolean;
  /** Events that could not be read. */
  unread: number;
}

/** What gzip begins with. */
const MAGIC = Buffer.of(0x1f, 0x8b);

/** Bytes up to the first event, and of one event. */
const MOST_HEAD = 64 * 1024;
const MOST_EVENT = 8 * 1024 * 1024;

const [QUOTE, BACKSLASH, OPEN, CLOSE, END] = Buffer.from(`"\\{}]`);

/** Gives each event to `take`. */
export async function readEvents(path: string, take: (event: Event) => void): Promise<Reading> {
  const scanner = new Scanner(take);
  let isCut = false;
  try {
    for await (const piece of await bytesOf(path)) scanner.add(piece);
  } catch (error) {
    // The rest of a gzipped file that was cut off, or written over, cannot be told.
    if (!isOfZlib(error)) throw error;
    if (!scanner.hasBegun) throw new NoTrace("is no trace: it begins as gzip does, and is not");
    isCut = true;
  }
  return scanner.end(isCut);
}

/**
 * Whatever its name ends in, a file that begins as gzip does is unzipped. It may be a pipe, which
 * is read once.
 */
async function bytesOf(path: string): Promise<AsyncIterable<Buffer>> {
  const file = createReadStream(path) as AsyncIterable<Buffer>;
  const pieces = file[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < MAGIC.length) {
    const next = await pieces.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  const all = behind(head, pieces);
  if (!head.subarray(0, MAGIC.length).equals(MAGIC)) return all;
  // A file that ends too early is no error so, and all that is there comes out.
  const unzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
  const source = Readable.from(all);
  source.on("error", (error) => unzip.destroy(error));
  return source.pipe(unzip) as AsyncIterable<Buffer>;
}

async function* behind(head: Buffer, pieces: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  yield* { [Symbol.asyncIterator]: () => pieces };
}

function isOfZlib(error: unknown): boolean {
  const code: unknown = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && (code.startsWith("Z_") || code.startsWith("ERR_ZLIB"));
}

/** Finds the objects of an array in bytes that come in pieces. */
export class Scanner {
  readonly #take: (event: Event) => void;
  readonly #reading: Reading = { isWhole: false, unread: 0 };
  #place: "head" | "array" | "behind" = "head";
  #head = "";
  #depth = 0;
  #isText = false;
  #isEscaped = false;
  /** The pieces before this one of the event that is being read. */
  #before: Buffer[] = [];
  #length = 0;

  constructor(take: (event: Event) => void) {
    this.#take = take;
  }

  /** Whether the array was found. */
  get hasBegun(): boolean {
    return this.#place !== "head";
  }

  add(piece: Buffer): void {
    let at = this.#place === "head" ? this.#findArray(piece) : 0;
    if (this.#place !== "array") return;
    let from = this.#depth > 0 ? at : -1;
    for (; at < piece.length; at++) {
      const byte = piece[at]!;
      if (this.#isText) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) this.#isText = false;
      } else if (byte === QUOTE) this.#isText = this.#depth > 0;
      else if (byte === OPEN) {
        if (this.#depth++ === 0) from = at;
      } else if (byte === CLOSE && this.#depth > 0) {
        if (--this.#depth > 0) continue;
        this.#event(piece.subarray(from, at + 1));
        from = -1;
      } else if (byte === END && this.#depth === 0) {
        this.#place = "behind";
        return;
      }
    }
    if (from >= 0) this.#keep(piece.subarray(from));
  }

  end(isCut: boolean): Reading {
    if (this.#place === "head") {
      throw new NoTrace(this.#head.trim() === "" ? "is empty" : "is no trace: it has no array");
    }
    this.#reading.isWhole = this.#place === "behind" && !isCut;
    return this.#reading;
  }

  /** Where the array of events begins: at the start, or in an object's `traceEvents`. */
  #findArray(piece: Buffer): number {
    const before = this.#head.length;
    this.#head += piece.toString("latin1", 0, MOST_HEAD);
    const found = /^(?:\xef\xbb\xbf)?\s*(?:\[|\{[^]*?"traceEvents"\s*:\s*\[)/.exec(this.#head);
    if (found !== null) {
      this.#place = "array";
      return found[0].length - before;
    }
    // The mark of UTF-8 may come in pieces.
    const isOther = !/^(?:\xef\xbb\xbf)?\s*(?:\{|$)/.test(this.#head);
    if ((isOther && this.#head.length > 3) || this.#head.length > MOST_HEAD) {
      throw new NoTrace("is no trace: it does not begin with an array of events");
    }
    return piece.length;
  }

  #keep(part: Buffer): void {
    this.#length += part.length;
    if (this.#length > MOST_EVENT) {
      throw new NoTrace(`is no trace: something in it is longer than ${MOST_EVENT} bytes`);
    }
    // The stream may use its memory again.
    this.#before.push(Buffer.from(part));
  }

  #event(part: Buffer): void {
    const bytes = this.#before.length === 0 ? part : Buffer.concat([...this.#before, part]);
    this.#before = [];
    this.#length = 0;
    let event: Event;
    try {
      event = JSON.parse(bytes.toString()) as Event;
    } catch {
      this.#reading.unread++;
      return;
    }
    this.#take(event);
  }
}
