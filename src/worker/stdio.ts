/**
 * `process.stdout` and `process.stderr` of a worker process. Bun's own keep in memory the bytes
 * that a pipe has no room for, where an end of the process loses them, and write them in pieces,
 * between which other workers of the pipe write theirs. Here a write is complete when it returns,
 * as console.log's is, even if the process ends then.
 */
import { own, performance } from "../os/natives.ts";
import {
  constants,
  createWriteStream,
  fstatSync,
  openSync,
  type WriteStream,
  writeSync,
} from "node:fs";
import { sayHeld, reportUnread } from "../os/output.ts";
import { procOf } from "../os/proc.ts";
import { WRITING_MS } from "../os/waits.ts";

/** Bytes that the kernel writes to a pipe in one piece (pipe(7)). */
const PIPE_BYTES = 4096;

/** ms between two tries to write to a pipe that has no room: they grow up to this. */
const LONGEST_NAP_MS = 10;

const NEWLINE = 0x0a;

type Done = (error?: Error | null) => void;

/** A standard output, or error, of this process. */
class Output {
  readonly #number: number;
  /** Another descriptor for the same pipe, if there can be one. */
  readonly #fd: number;
  /** Its reader has read nothing for `WRITING_MS`. */
  #isStopped = false;

  constructor(fd: number) {
    this.#number = fd;
    this.#fd = unheld(fd);
  }

  /**
   * Writes all, in pieces of whole lines where they are short enough for that, and waits for the
   * reader. Bytes that a reader who has stopped does not take are dropped.
   */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      let length = Math.min(bytes.length - at, PIPE_BYTES);
      if (at + length < bytes.length) {
        const end = bytes.lastIndexOf(NEWLINE, at + length - 1);
        if (end >= at) length = end + 1 - at;
      }
      const count = this.#writePiece(bytes, at, length);
      if (count === 0) return;
      at += count;
    }
  }

  #writePiece(bytes: Uint8Array, at: number, length: number): number {
    const count = this.#try(bytes, at, length);
    if (count > 0 || this.#isStopped) return count;
    const takeBack = sayHeld(this.#number);
    try {
      return this.#writeInTime(bytes, at, length);
    } finally {
      if (this.#isStopped) reportUnread();
      takeBack();
    }
  }

  #writeInTime(bytes: Uint8Array, at: number, length: number): number {
    const giveUp = performance.now() + WRITING_MS;
    for (let nap = 1; performance.now() < giveUp; nap = Math.min(2 * nap, LONGEST_NAP_MS)) {
      Bun.sleepSync(nap);
      const count = this.#try(bytes, at, length);
      if (count > 0) return count;
    }
    this.#isStopped = true;
    return 0;
  }

  /** 0 where there is no room. */
  #try(bytes: Uint8Array, at: number, length: number): number {
    try {
      const count = writeSync(this.#fd, bytes, at, length);
      this.#isStopped = false;
      return count;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      return 0;
    }
  }
}

/**
 * A descriptor for the same pipe that does not block its writer. It is opened anew: the flag of an
 * inherited descriptor is shared with all its holders, and programs that tasks start expect to be
 * blocked.
 */
function unheld(fd: number): number {
  const folder = procOf(process.pid);
  try {
    if (folder === null || !fstatSync(fd).isFIFO()) return fd;
    return openSync(`${folder}/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // It may be another user's, or closed.
    return fd;
  }
}

function bytesOf(chunk: unknown, encoding: unknown): Uint8Array | null {
  if (typeof chunk === "string") {
    const name = typeof encoding === "string" ? encoding : "utf8";
    return Buffer.isEncoding(name) ? Buffer.from(chunk, name) : null;
  }
  return chunk instanceof Uint8Array ? chunk : null;
}

/** A stream as Bun makes it, except for its `write`. */
function makeStream(fd: number): WriteStream {
  const stream = createWriteStream("", { fd, autoClose: false });
  const original = stream.write;
  const output = new Output(fd);
  const write = (chunk: unknown, second?: unknown, third?: unknown): boolean => {
    const done = (typeof second === "function" ? second : third) as Done | undefined;
    const bytes = stream.destroyed || stream.writableEnded ? null : bytesOf(chunk, second);
    // The stream itself reports a wrong chunk, in its own words.
    if (bytes === null) return Reflect.apply(original, stream, [chunk, second, third]);
    try {
      output.write(bytes);
    } catch (error) {
      if (done !== undefined) own.nextTick(done, error);
      stream.destroy(error as Error);
      return false;
    }
    if (done !== undefined) own.nextTick(done, null);
    return true;
  };
  return Object.assign(stream, { write, fd, _isStdio: true });
}

/** Replaces both from now on, where they are no terminal: to that Bun writes at once. */
export function writeAtOnce(): void {
  define("stdout", 1);
  define("stderr", 2);
}

function isTerminal(fd: number): boolean {
  try {
    if (!fstatSync(fd).isCharacterDevice()) return false;
  } catch {
    return false; // It is closed.
  }
  // It loads streams and sockets, a tenth of a worker's start; few need it.
  const { isatty } = require("node:tty") as typeof import("node:tty");
  return isatty(fd);
}

function define(name: "stdout" | "stderr", fd: number): void {
  if (isTerminal(fd)) return;
  let stream: WriteStream | null = null;
  // An assignment keeps Bun from making its own, which would change the descriptor for all that
  // share it.
  Reflect.set(process, name, null);
  Object.defineProperty(process, name, {
    configurable: true,
    enumerable: true,
    get: () => (stream ??= makeStream(fd)),
    set: (value: WriteStream) => (stream = value),
  });
}
