/**
 * How a worker process knows what it is: by descriptors from its parent, and by a record behind the
 * memory that both share. An environment would be inherited by processes that tasks start, and Bun
 * passes on the one a process was started with, whatever was removed from `process.env`.
 */
import { files } from "./files.ts";
import { JSON, setPrototypeOf } from "./natives.ts";

/**
 * The rank that a process serves without being a rank itself: it is the child of an isolated pool's
 * rank.
 */
export interface ServedRank {
  readonly rank: number;
  readonly size: number;
}

/** The first information that a worker gets. */
export interface WorkerStart {
  /** The pid of the process that started it. */
  readonly parent: number;
  readonly servedRank: ServedRank | null;
  /** True in an MPI job: messages of its script to other ranks are not its to send. */
  readonly inJob: boolean;
  /**
   * The folder for its tasks. The worker was started in the program's folder, so that relative
   * paths of flags and config files mean the same. Null: it stays there.
   */
  readonly cwd: string | null;
  /** It serves as soon as bsync is loaded, not when its script comes to `open`. */
  readonly atOnce: boolean;
  /** The program's main script. */
  readonly main: string;
  /** The program's arguments, from the script's path on. */
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
}

/**
 * Descriptors of a worker process: its doorbell; the memory it shares with its parent; and one that
 * is never written to, and that closes when the parent is gone.
 */
export const DOORBELL_FD = 3;
export const MEMORY_FD = 4;
export const LIFE_FD = 5;

/** At the end of the memory's file: the record's length, a number of 32 bits, and a mark. */
const MARK = "bsync worker";
const TAIL = MARK.length + 4;

/** The record behind the memory of a worker. */
export function writeStart(start: WorkerStart): Uint8Array {
  const { servedRank, argv, execArgv } = start;
  const lists = { argv: bare([...argv]), execArgv: bare([...execArgv]) };
  const whole = bare({ ...start, servedRank: servedRank && bare({ ...servedRank }), ...lists });
  const text = new TextEncoder().encode(JSON.stringify(whole));
  const bytes = new Uint8Array(text.length + TAIL);
  bytes.set(text);
  new DataView(bytes.buffer).setUint32(text.length, text.length);
  bytes.set(new TextEncoder().encode(MARK), text.length + 4);
  return bytes;
}

/** Removes the prototype: the program may have put a `toJSON` on it. */
function bare<T extends object>(value: T): T {
  return setPrototypeOf(value, null);
}

let taken: WorkerStart | null = null;

/**
 * The record that this process was started with; null if it is no worker, or has read it before. A
 * `Worker` of a worker process has the same descriptors, and is no worker process.
 */
export function takeStart(): WorkerStart | null {
  return taken === null ? (taken = readStart()) : null;
}

/** The same record if the worker serves at once, else null. */
export function takeStartAtOnce(): WorkerStart | null {
  const start = readStart();
  return start?.atOnce === true ? (taken = start) : null;
}

function readStart(): WorkerStart | null {
  if (!Bun.isMainThread) return null;
  try {
    const stat = files().fstatSync(MEMORY_FD);
    if (!stat.isFile() || stat.size < TAIL) return null;
    const tail = readFrom(stat.size - TAIL, TAIL);
    if (new TextDecoder().decode(tail.subarray(4)) !== MARK) return null;
    const length = new DataView(tail.buffer).getUint32(0);
    const text = new TextDecoder().decode(readFrom(stat.size - TAIL - length, length));
    return JSON.parse(text) as WorkerStart;
  } catch {
    // No such descriptor, or another file.
    return null;
  }
}

function readFrom(position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  files().readSync(MEMORY_FD, bytes, 0, length, position);
  return bytes;
}

/**
 * Whether this process works in an MPI job: messages of its script to other ranks are not its to
 * send.
 */
export function worksInJob(): boolean {
  return taken?.inJob ?? false;
}

/** The rank that this process serves; null if it serves none. */
export function servedRank(): ServedRank | null {
  return taken?.servedRank ?? null;
}
