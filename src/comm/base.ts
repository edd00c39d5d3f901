import { MpiError } from "../errors.ts";
import { moduleRunAgain } from "../function/callers.ts";
import { isLoading, mainScript, mayRunAgain } from "../function/main-script.ts";
import { isAfterStop, stopMain } from "../function/stop-main.ts";
import { chunkBytes, startForProgram } from "../job/job.ts";
import type { Mpi } from "../mpi/mpi.ts";
import { worksInJob } from "../os/worker-env.ts";
import { settingOf } from "../os/settings.ts";
import { currentCall } from "../context.ts";
import type { CommSymbols } from "../mpi/shim/symbols.ts";
import {
  arrayOf,
  type Datatype,
  datatypeOf,
  describe,
  isDetached,
  type MpiArray,
  shared,
} from "./datatypes.ts";

/** Mistakes found before MPI is called; numbered as in `bsync_comm_error`. */
export const Mistake = {
  Buffer: 0,
  Count: 1,
  Type: 2,
  Tag: 3,
  Comm: 4,
  Rank: 5,
  Root: 6,
  Group: 7,
  Op: 8,
  Arg: 9,
  Request: 10,
} as const;

/** bun:ffi refuses a view without bytes. */
const NOTHING = new Uint8Array(8);

/** The memory of a view for C; the view may be empty. */
export function memory(array: MpiArray | Float64Array | Int32Array): NodeJS.TypedArray {
  return array.length === 0 ? NOTHING : array;
}

/** Whether a value is a whole number that C's `int` holds. */
export function isInt(value: unknown): value is number {
  return ((value as number) | 0) === value;
}

/** An array and its MPI datatype. */
export interface Data {
  readonly array: MpiArray;
  readonly type: Datatype;
}

/**
 * A communicator of MPI, as its number on the C side, and the texts of its errors. `world` gets its
 * MPI late: MPI is started when first needed.
 */
export abstract class CommunicatorBase {
  /** Its name in messages, as `"world.split(1)"`. */
  readonly name: string;
  /** @internal 0 once it is freed. */
  protected id: number;
  #mpi: Mpi | null;
  #lib: CommSymbols | null;
  #rank = -1;
  #size = -1;

  /** @internal Communicators come from `world`. Without `mpi` MPI is started when needed. */
  constructor(name: string, id: number, mpi: Mpi | null) {
    if (typeof id !== "number") {
      throw new TypeError(
        "Cannot make a Communicator with `new`: use world, or its split, dup or group",
      );
    }
    this.name = name;
    this.id = id;
    this.#mpi = mpi;
    this.#lib = mpi === null ? null : mpi.comm();
  }

  /**
   * The rank of this process in it, from 0 (MPI_Comm_rank, MPI 4.0 section 7.4.1).
   *
   * @example
   * if (world.rank === 0) console.log(`we are ${world.size}`);
   */
  get rank(): number {
    if (this.#rank < 0) this.#learn();
    return this.#rank;
  }

  /** The number of its ranks (MPI_Comm_size, MPI 4.0 section 7.4.1). */
  get size(): number {
    if (this.#size < 0) this.#learn();
    return this.#size;
  }

  /** @internal MPI; started now if necessary. */
  get mpi(): Mpi {
    if (this.#mpi === null) {
      this.#mpi = startForProgram();
      this.#lib = this.#mpi.comm();
      limit(this.#lib);
    }
    return this.#mpi;
  }

  /** @internal The C side, for calls that communicate. */
  protected get lib(): CommSymbols {
    if (mayRunAgain() || isAfterStop()) this.#refuseWhileLoading();
    return this.#lib ?? this.mpi.comm();
  }

  /** @internal The error for a code of the C side. */
  protected error(code: number, action: string, note = ""): MpiError {
    const { text, mpiClass, line } = this.mpi.explain(code);
    const where = this.id === 0 ? `${this.name}, which was freed` : this.#where();
    const more = note === "" ? "" : `; ${note}`;
    const message = `Cannot ${action} on ${where}: ${line}${more}`;
    return new MpiError(message, Math.abs(code), text, mpiClass);
  }

  /** @internal The same error, for functions outside the class. */
  failure(code: number, action: string): MpiError {
    return this.error(code, action);
  }

  /** @internal The error for a mistake found before MPI is called. */
  protected mistake(which: number, action: string, note: string): MpiError {
    // In a process that is no rank `world` has only that process: the script's communication with
    // other ranks can only fail there, and its run ends, too.
    if (isLoading()) this.#stopLoading();
    return this.error(this.mpi.comm().bsync_comm_error(which), action, note);
  }

  /** @internal The array to send, or to receive into. */
  protected data(value: unknown, action: string): Data {
    const array = arrayOf(value);
    const type = array && datatypeOf(array);
    if (type !== undefined) return { array: array!, type };
    const note = isDetached(value)
      ? `${describe(value)} was transferred, and has no memory any more; give the one that ` +
        "has it now"
      : `${describe(value)} has no MPI datatype; ${cureOf(value)}`;
    throw this.mistake(Mistake.Buffer, action, note);
  }

  /**
   * @internal Refuses to receive into the memory that is sent: some MPIs refuse that, others
   * deliver wrong data (MPI 4.0 section 6.4).
   */
  protected refuseShared(sent: Data, into: Data, action: () => string): void {
    if (shared(sent.array, into.array) === "none") return;
    const note =
      "what is sent lies in the memory that is received into; give another array for one of the " +
      "two";
    throw this.mistake(Mistake.Buffer, action(), note);
  }

  #where(): string {
    return this.#mpi!.finalized ? this.name : `${this.name} (rank ${this.rank} of ${this.size})`;
  }

  #learn(): void {
    const lib = this.mpi.comm();
    const rank = lib.bsync_comm_rank(this.id);
    if (rank < 0) throw this.#unknown(rank);
    this.#rank = rank;
    this.#size = lib.bsync_comm_size(this.id);
  }

  #unknown(code: number): MpiError {
    const { text, mpiClass, line } = this.mpi.explain(code);
    const freed = this.id === 0 ? ", which was freed" : "";
    return new MpiError(`Cannot use ${this.name}${freed}: ${line}`, -code, text, mpiClass);
  }

  /**
   * A module runs a second time, for its functions. It sent its messages in the first run, and
   * other ranks would not receive these. The main script's run ends here, as at `AsyncPool.open`.
   */
  #refuseWhileLoading(): void {
    if (worksInJob() || this.mpi.size > 1) this.#stopLoading();
  }

  #stopLoading(): void {
    const module = currentCall() === null ? moduleRunAgain() : undefined;
    if (module === undefined) return;
    const isMain = module === mainScript();
    const cure = isMain
      ? "this run of it ends here, as it is to, and nothing has failed"
      : "do it in a function that is called once";
    const error = new MpiError(
      `Cannot communicate while ${module} is loaded again, for the functions in it: ` +
        `the other ranks take no part; ${cure}`,
    );
    if (!isMain) throw error;
    stopMain(error, "its first call that communicates", () => currentCall() !== null);
  }
}

/** What to pass instead of a value that is no array, or has no MPI datatype. */
function cureOf(value: unknown): string {
  if (typeof value === "function") {
    return "a function combines values: use the object form, as in allreduceObject(value, f)";
  }
  if (ArrayBuffer.isView(value)) {
    return (
      "give its bytes, new Uint8Array(array.buffer, array.byteOffset, array.byteLength), or use " +
      "the object form"
    );
  }
  return "give a typed array, a DataView or an ArrayBuffer, or use the object form";
}

/** BSYNC_CHUNK_BYTES makes shorter arrays count as long. */
function limit(lib: CommSymbols): void {
  if (settingOf("BSYNC_CHUNK_BYTES") !== undefined) lib.bsync_comm_limit(chunkBytes());
}
