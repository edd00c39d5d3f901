/**
 * How a worker process knows what it is: by descriptors that its parent has given it, and by a
 * record that lies behind the memory which the two share. An environment would be inherited by what
 * its tasks start, and Bun hands on the one that a process was started with, whatever that has
 * taken out of `process.env`.
 */
import { files } from "./files.ts";
import { JSON, setPrototypeOf } from "./natives.ts";

/**
 * The rank of an MPI job that a process works for which is none itself, the child of an isolated
 * pool's rank.
 */
export interface ServedRank {
  readonly rank: number;
  readonly size: number;
}

/** What a worker is told before anything else. */
export interface WorkerStart {
  /** Who has started it. */
  readonly parent: number;
  readonly servedRank: ServedRank | null;
  /** It works in an MPI job: what its script says to other ranks is not for it to say. */
  readonly inJob: boolean;
  /**
   * The folder that its tasks find themselves in. It was started where the program was, so that
   * relative paths of flags and config files mean the same. Null: it stays there.
   */
  readonly cwd: string | null;
  /** It serves as soon as bsync is loaded, and not when its script comes to `open`. */
  readonly atOnce: boolean;
  /** The program's main script. */
  readonly main: string;
  /** Its arguments, from the script's path on. */
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
}

/**
 * Descriptors of a worker process: its bell; the memory it shares with its parent; and one that
 * nothing is written to, which tells that the parent is gone.
 */
export const DOORBELL_FD = 3;
export const MEMORY_FD = 4;
export const LIFE_FD = 5;

/**
 * At the end of the memory's file: how long the record is, a number of 32 bits, and what tells that
 * it is one.
 */
const MARK = "bsync worker";
const TAIL = MARK.length + 4;

/** What lies behind the memory of a worker. */
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

/** Without a prototype: a `toJSON` that the program has put on one is not asked. */
function bare<T extends object>(value: T): T {
  return setPrototypeOf(value, null);
}

let taken: WorkerStart | null = null;

/**
 * The record that this process was started with; null in one that is no worker, or has read it
 * before. A `Worker` of a worker process has the same descriptors, and is none.
 */
export function takeStart(): WorkerStart | null {
  return taken === null ? (taken = readStart()) : null;
}

/** The same, of one that is to serve at once. */
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
    // There is no such descriptor, or it is something else.
    return null;
  }
}

function readFrom(position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  files().readSync(MEMORY_FD, bytes, 0, length, position);
  return bytes;
}

/**
 * Whether this process works in an MPI job: what its script says to other ranks is not for it to
 * say.
 */
export function worksInJob(): boolean {
  return taken?.inJob ?? false;
}

/** The rank that this process works for; null in one that works for no rank. */
export function servedRank(): ServedRank | null {
  return taken?.servedRank ?? null;
}
