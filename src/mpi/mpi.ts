/**
 * MPI for the rest of bsync: bytes to and from ranks, every return code checked. What the bytes
 * mean, and when to wait for them, is decided elsewhere.
 */
import { MpiError } from "../errors.ts";
import { LAST_WORDS_MS } from "./launcher/pmi.ts";
import { exitProcess } from "../os/processes.ts";
import type { CommSymbols, Shim } from "./shim/symbols.ts";

/** As a source or a tag: any. */
export const ANY = -1;

/** The longest message that `poll` receives at once, in bytes. */
export const SMALL_BYTES = 4000;

/** What MPI says of an error code. */
export interface Explanation {
  /** Its own words, in as many lines as it likes. */
  readonly text: string;
  /** The name of its class; empty when there is none. */
  readonly mpiClass: string;
  /** Class and words in one line, for messages. */
  readonly line: string;
}

/**
 * How to wait for a message, in µs: first looks follow each other without a pause, then the core is
 * yielded between two of them, then there are naps.
 */
export interface WaitPlan {
  readonly spinUs?: number;
  readonly yieldUs?: number;
  readonly napUs?: number;
  /** The time of all three. */
  readonly totalUs: number;
}

/** One look, and the core is another process's for a moment. */
const YIELD_ONCE: WaitPlan = { yieldUs: 1, totalUs: 1 };

/** MPI in this process. Every method throws an `MpiError` when MPI reports one. */
export interface Mpi {
  readonly rank: number;
  readonly size: number;
  /** The highest tag. */
  readonly tagLimit: number;
  /** How many ranks run on this host, this one among them. */
  readonly ranksOnHost: number;
  /** The name of the host that a rank runs on. */
  hostOf(rank: number): string;
  /** Name and version of the library, in one line. */
  readonly library: string;
  /** All that the library says of itself: some add how it was configured. */
  readonly libraryText: string;
  /** Where the shim came from. */
  readonly origin: string;
  readonly finalized: boolean;
  /** Requests that are not done, or not tested since. */
  readonly pending: number;

  /**
   * Looks for a message from anybody. 0: there is none. 1: one is in `buffer`, at most
   * `SMALL_BYTES` and what the buffer holds. 2: a larger one waits to be received. For 1 and 2
   * `status` (three numbers) is source, tag, bytes.
   */
  poll(buffer: Uint8Array, status: Int32Array): 0 | 1 | 2;

  /** Is there a message from `source` with `tag` (or `ANY`)? It stays; `status` as in `poll`. */
  probe(source: number, tag: number, status: Int32Array): boolean;

  /**
   * Starts to receive up to `bytes` bytes and returns a request. Leave `buffer` alone until `test`
   * says that it is done; it is kept alive till then.
   */
  receive(buffer: Uint8Array, bytes: number, source: number, tag: number): number;

  /**
   * Starts to send the first `bytes` bytes. 0: `buffer` is free again. Else a request: do not
   * write to `buffer` until `test` says that it is done; it is kept alive till then.
   */
  send(buffer: Uint8Array, bytes: number, dest: number, tag: number): number;

  /** Is this request done? Once it was, its number may mean another one. */
  test(request: number): boolean;

  /**
   * Blocks until there is a message (true), or the plan's time is over or a signal came (false).
   */
  wait(plan: WaitPlan): boolean;

  /** Lets another process have this core, if one wants it: it may be the one that is to send. */
  yieldCore(): void;

  /** Ends the whole job with this exit code, once the launcher has read what was said. */
  abort(code: number): never;

  /**
   * @internal The functions of `c/bsync_comm.h`, for bsync/mpi; the package's types do without
   * bun:ffi.
   */
  comm(): CommSymbols;

  /**
   * The names of the library's control variables, for diagnosis: of those parts that are in use.
   */
  variables(): string[];

  /** What MPI says of an error code, of either sign. */
  explain(code: number): Explanation;

  /**
   * Says that this process has come to its end, and asks whether all have that are programs of
   * bsync. Does not block: ask until they have.
   */
  leave(): boolean;

  /** Ends MPI; waits for the other ranks to do so too. May be called again. */
  finalize(): void;

  /**
   * Ends this process with exit code 0 if it has not ended by itself within so many ms, rounded up
   * to seconds.
   */
  endWithin(ms: number): void;
}

/** ms that a rank goes on to move what is on its way, where MPI cannot be finalized. */
const LINGER_MS = 500;

/** C's int: the longest message, and the longest timeout. */
export const MOST = 0x7fff_ffff;

/** Enough for the longest name of a variable: some sixty letters. */
const VARIABLE_BYTES = 256;

type Symbols = Shim["symbols"];

const decoder = new TextDecoder();

function readText(fill: (text: Uint8Array, size: number) => number): string {
  const text = new Uint8Array(8192);
  const length = fill(text, text.byteLength);
  return decoder.decode(text.subarray(0, Math.max(length, 0)));
}

function explain(symbols: Symbols, code: number): Explanation {
  const text = readText((bytes, size) => symbols.bsync_mpi_error_text(code, bytes, size)).trim();
  const mpiClass = readText((bytes, size) => symbols.bsync_mpi_error_class(code, bytes, size));
  return { text, mpiClass, line: inOneLine(text, mpiClass) };
}

/**
 * Open MPI's text is `class: words`. MPICH's has no class, and can be a stack: then its last line
 * is the most precise one, behind a function of the library and its line.
 */
function inOneLine(text: string, mpiClass: string): string {
  const words = text.split("\n").map((line) => line.replace(/^\w+\(\d+\)\.*:/, "").trim());
  const last = words.findLast((line) => line !== "") ?? "";
  return last.includes(mpiClass) ? last : `${mpiClass}: ${last}`;
}

export function failure(symbols: Symbols, deed: string, code: number): MpiError {
  const { text, mpiClass, line } = explain(symbols, code);
  return new MpiError(`Cannot ${deed}: ${line}`, -code, text, mpiClass);
}

export class ShimMpi implements Mpi {
  readonly rank: number;
  readonly size: number;
  readonly tagLimit: number;
  readonly ranksOnHost: number;
  readonly library: string;
  readonly libraryText: string;
  readonly origin: string;
  readonly #symbols: Symbols;
  readonly #bindComm: () => CommSymbols;
  #comm: CommSymbols | null = null;
  /** bun:ffi refuses a view without bytes. */
  readonly #nothing = new Uint8Array(1);
  /** The buffer of each open request, which MPI reads or writes though nobody else holds it. */
  readonly #held: (Uint8Array | undefined)[] = [];
  #finalized = false;

  constructor({ symbols, comm, origin }: Shim, info: Int32Array) {
    const [rank = 0, size = 1, tagLimit = 32_767, ranksOnHost = 1] = info;
    this.rank = rank;
    this.size = size;
    this.tagLimit = tagLimit;
    this.ranksOnHost = ranksOnHost;
    this.#symbols = symbols;
    this.#bindComm = comm;
    this.origin = origin;
    this.libraryText = readText((text, bytes) => symbols.bsync_mpi_library_version(text, bytes));
    this.library = this.libraryText.split("\n", 1)[0]!.replace(/\s+/g, " ").trim();
  }

  hostOf(rank: number): string {
    return readText((text, bytes) => this.#symbols.bsync_mpi_host(rank, text, bytes));
  }

  get finalized(): boolean {
    return this.#finalized;
  }

  get pending(): number {
    return this.#symbols.bsync_mpi_pending();
  }

  poll(buffer: Uint8Array, status: Int32Array): 0 | 1 | 2 {
    const code = this.#symbols.bsync_mpi_poll(buffer, buffer.byteLength, status);
    if (code < 0) throw failure(this.#symbols, "receive a message", code);
    return code as 0 | 1 | 2;
  }

  probe(source: number, tag: number, status: Int32Array): boolean {
    const code = this.#symbols.bsync_mpi_probe(source, tag, status);
    if (code < 0) throw failure(this.#symbols, `look for a message of rank ${source}`, code);
    return code === 1;
  }

  receive(buffer: Uint8Array, bytes: number, source: number, tag: number): number {
    if (bytes > buffer.byteLength || bytes > MOST) throw tooLong(bytes, buffer);
    // To ask for `.buffer` gives a small array a place of its own, where it stays.
    const view = bytes === 0 ? this.#nothing : buffer.buffer && buffer;
    const code = this.#symbols.bsync_mpi_receive(view, bytes, source, tag);
    if (code < 0) throw failure(this.#symbols, `receive from rank ${source} with tag ${tag}`, code);
    this.#held[code] = view;
    return code;
  }

  send(buffer: Uint8Array, bytes: number, dest: number, tag: number): number {
    if (bytes > buffer.byteLength || bytes > MOST) throw tooLong(bytes, buffer);
    const view = bytes === 0 ? this.#nothing : buffer;
    const code = this.#symbols.bsync_mpi_send(view, bytes, dest, tag);
    if (code === 0) return 0;
    if (code < 0) throw failure(this.#symbols, `send to rank ${dest} with tag ${tag}`, code);
    this.#held[code] = view;
    return code;
  }

  test(request: number): boolean {
    const code = this.#symbols.bsync_mpi_test(request);
    if (code === 0) return false;
    this.#held[request] = undefined;
    if (code < 0) throw failure(this.#symbols, `finish request ${request}`, code);
    return true;
  }

  yieldCore(): void {
    this.wait(YIELD_ONCE);
  }

  wait({ spinUs = 0, yieldUs = 0, napUs = 0, totalUs }: WaitPlan): boolean {
    const code = this.#symbols.bsync_mpi_wait(spinUs, yieldUs, napUs, totalUs);
    if (code < 0) throw failure(this.#symbols, "wait for a message", code);
    return code === 1;
  }

  abort(code: number): never {
    Bun.sleepSync(LAST_WORDS_MS);
    this.#symbols.bsync_mpi_abort(code);
    // Not reached; it tells the compiler so.
    exitProcess(code);
  }

  comm(): CommSymbols {
    return (this.#comm ??= this.#bindComm());
  }

  variables(): string[] {
    const names: string[] = [];
    const text = new Uint8Array(VARIABLE_BYTES);
    for (let index = 0; ; index++) {
      const length = this.#symbols.bsync_mpi_variable(index, text, text.byteLength);
      if (length < 0) return names;
      if (length > 0) names.push(decoder.decode(text.subarray(0, length)));
    }
  }

  explain(code: number): Explanation {
    return explain(this.#symbols, code);
  }

  leave(): boolean {
    const code = this.#symbols.bsync_mpi_leave();
    if (code < 0) throw failure(this.#symbols, "leave the job", code);
    return code === 1;
  }

  finalize(): void {
    this.#finalized = true;
    const code = this.#symbols.bsync_mpi_finalize(LINGER_MS);
    if (code < 0) throw failure(this.#symbols, "end MPI", code);
  }

  endWithin(ms: number): void {
    this.#symbols.bsync_mpi_end_within(Math.ceil(ms / 1000));
  }
}

function tooLong(bytes: number, buffer: Uint8Array): RangeError {
  return new RangeError(
    `Cannot move ${bytes} bytes: the buffer has ${buffer.byteLength}, ` +
      `and a message at most ${MOST}`,
  );
}
