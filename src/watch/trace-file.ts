import { gzipSync } from "node:zlib";
import { BsyncError } from "../errors.ts";
import { files } from "../os/files.ts";
import { isError } from "../os/natives.ts";

/** Bytes that are gathered before they are written. */
const GATHERED = 64 * 1024;

/** Bytes that are kept for the events that end a file. */
const RESERVE = 4 * 1024;

/**
 * The file of a trace: a JSON array of events, one to a line. It is written in whole events, and
 * gzipped each piece is a stream of its own: so whatever ends the process leaves a file that opens,
 * as readers of the format ask for no closing bracket. (SIGKILL in the midst of a write may cut the
 * last piece: `gzip` says so, and gives what came before.) A file that cannot be written any more
 * is let be, without the piece that did not fit: a trace never stops a job.
 */
export class TraceFile {
  readonly path: string;
  readonly #fd: number;
  readonly #isZipped: boolean;
  readonly #most: number;
  #gathered = "[\n";
  /** Bytes of these; for names and messages may be in any script. */
  #gatheredBytes = 2;
  #isFirst = true;
  #bytes = 0;
  #isOpen = true;

  constructor(path: string, most: number) {
    this.path = path;
    this.#most = most;
    this.#isZipped = path.endsWith(".gz");
    try {
      this.#fd = files().openSync(path, "w");
    } catch (error) {
      const why = isError(error) ? error.message : String(error);
      throw new BsyncError("BSYNC_TRACE", `Cannot write a trace: ${why}; give another path`, {
        cause: error,
      });
    }
  }

  /** How much of what it may take has been written, from 0 to 1. */
  get fill(): number {
    return (this.#bytes + (this.#isZipped ? 0 : this.#gatheredBytes)) / this.#most;
  }

  /** Whether no more events are to be added, but those that end it. */
  get isFull(): boolean {
    return !this.#isOpen || this.fill * this.#most > this.#most - RESERVE;
  }

  /** Adds an event, given as JSON. */
  add(event: string): void {
    const text = this.#isFirst ? event : `,\n${event}`;
    this.#isFirst = false;
    this.#gathered += text;
    this.#gatheredBytes += Buffer.byteLength(text);
    // What a piece takes when it is zipped is known only then: none is larger than the room.
    const room = this.#isZipped ? this.#most - RESERVE - this.#bytes : Infinity;
    if (this.#gatheredBytes >= Math.min(GATHERED, room)) this.flush();
  }

  /** Writes what was gathered. */
  flush(): void {
    if (!this.#isOpen || this.#gathered === "") return;
    const bytes = this.#isZipped ? gzipSync(this.#gathered) : Buffer.from(this.#gathered);
    this.#gathered = "";
    this.#gatheredBytes = 0;
    try {
      for (let at = 0; at < bytes.length;) at += files().writeSync(this.#fd, bytes, at);
      this.#bytes += bytes.length;
    } catch (error) {
      this.#cut();
      this.#close();
      this.#say(error);
    }
  }

  end(): void {
    this.#gathered += "\n]\n";
    this.flush();
    this.#close();
  }

  /** Takes back what was written of a piece: cut off in its midst a zipped one does not open. */
  #cut(): void {
    try {
      files().ftruncateSync(this.#fd, this.#bytes);
    } catch {
      // A device, as it seems.
    }
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    try {
      files().closeSync(this.#fd);
    } catch (error) {
      // Some file systems say only now that there was no room.
      this.#say(error);
    }
  }

  #say(error: unknown): void {
    const why = isError(error) ? error.message : String(error);
    process.stderr.write(`bsync: the trace ${this.path} ends here: ${why}\n`);
  }
}
