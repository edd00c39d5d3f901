import type { Encoded } from "../codec/value.ts";
import { BsyncError, ValueError } from "../errors.ts";
import type { FunctionReference } from "../function/record.ts";
import { LAST_ID } from "./task-id.ts";

/**
 * What controller and worker say to each other: one table of messages, read by both ends, and how
 * they lie in bytes. All numbers are little-endian.
 *
 *   message  = u32 session, u32 buffers, frame…, f64 length of each buffer
 *   frame    = u8 kind, u8 format, u16 flags, u32 task, f32 number, u32 body, u32 buffers, body…
 *
 * A message is at most `MESSAGE_BYTES` long, so that every link can receive it into memory that is
 * ready for it. What is larger (arrays of 64 KiB and more, and bodies of that size) travels behind
 * the message as `buffers`, each in memory of its own, in the order of the frames they belong to.
 * `session` tells a pool from an earlier one that used the same tag: what a late worker still
 * sends to that one is recognized, and dropped.
 */
export const Kind = {
  /** Controller → worker. */
  Open: 1,
  Function: 2,
  Call: 3,
  Cancel: 4,
  Close: 5,
  End: 6,
  Leave: 7,
  Spawn: 8,
  Kill: 9,
  Recall: 10,
  Release: 11,
  Forget: 12,
  /** Worker → controller. */
  Ready: 16,
  Started: 17,
  Result: 18,
  Failure: 19,
  Closed: 20,
  Ended: 21,
  Spent: 22,
  Spawned: 23,
  Lost: 24,
  Stands: 25,
  Joined: 26,
  Recalled: 27,
  Held: 28,
  Left: 29,
  Returned: 30,
} as const;

export type Kind = (typeof Kind)[keyof typeof Kind];

/**
 * What each kind of frame means by its fields; a field not named is zero, a body not named empty.
 */
export interface Frames {
  /** `task` is the worker's index, `number` its rank, -1 for a local process. */
  [Kind.Open]: Opening & Rules;
  /** What the worker needs to find a function. */
  [Kind.Function]: FunctionTold;
  /** Numbers of functions that no call names any more, unless they are told of again. */
  [Kind.Forget]: readonly number[];
  /** `task`; `number` is the function; the body the arguments. */
  [Kind.Call]: unknown[];
  /** `task` was settled without the worker: drop it, or abandon it. */
  [Kind.Cancel]: undefined;
  /** The pool is done with this worker. */
  [Kind.Close]: undefined;
  /** The program is over: does the rank hear? */
  [Kind.End]: undefined;
  /** They do, and leave MPI together. */
  [Kind.Leave]: undefined;
  /** The rank is to start a child for this session; the body says whose. A message of its own. */
  [Kind.Spawn]: Greeting;
  /**
   * The rank is to end its child; with `task`, only if that is what keeps it. A message of its own.
   */
  [Kind.Kill]: undefined;
  /**
   * What was sent before and is not begun is not to be begun. `task` counts these, on a link that
   * has a note. The first of its message.
   */
  [Kind.Recall]: undefined;
  /** The pool of that call of `open` is over: the rank's own call resolves. */
  [Kind.Release]: Released;
  /** The worker serves. */
  [Kind.Ready]: Greeting;
  /** `task` begins now: sent for tasks under a deadline. */
  [Kind.Started]: undefined;
  /**
   * `task` has ended in time, and its result follows: sent for a large one, of tasks under a
   * deadline.
   */
  [Kind.Returned]: undefined;
  /** `task`; `number` is µs it ran; the body its value. */
  [Kind.Result]: unknown;
  /** `task`; `number` is µs it ran; the body what it threw. */
  [Kind.Failure]: unknown;
  /** All that was sent before is answered or dropped, but for `task`, which runs; 0 for none. */
  [Kind.Recalled]: undefined;
  /** The worker has forgotten the pool. */
  [Kind.Closed]: undefined;
  /** The rank waits in `open`, and serves until `Leave`; or until it says `Left`. */
  [Kind.Joined]: undefined;
  /** The rank goes on with its program, and looks for messages no more. */
  [Kind.Left]: undefined;
  /** The rank has received `End`, and waits for `Leave`. */
  [Kind.Ended]: undefined;
  /** The worker is past its limit of memory: it does what it was sent, and is to be replaced. */
  [Kind.Spent]: undefined;
  /** The rank has started a child, its process being `task`; the body introduces the rank. */
  [Kind.Spawned]: Greeting;
  /** The rank's child takes nothing in, and told last that it had begun `task`: is that over? */
  [Kind.Stands]: undefined;
  /**
   * The rank's child was recalled, `number` times in all, and has told since then that it is at
   * `task`.
   */
  [Kind.Held]: undefined;
  /** The rank's child is gone. The last message of its session. */
  [Kind.Lost]: LostChild;
}

/**
 * Which call of `open`: the ranks of a communicator make the same calls in the same order, so that
 * they have the same number on all of them.
 */
export interface OpenId {
  /** Names the communicator. */
  readonly group: string;
  /** From 1. */
  readonly number: number;
}

/** Which pool is over. */
export interface Released extends OpenId {
  /** Its tag. */
  readonly tag: number;
  /** Its sessions have numbers below this one. */
  readonly before: number;
}

/** How a worker's process ended, as far as it is known. */
export interface Ending {
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** For a person: "exited with code 3", "was killed by SIGKILL". */
  readonly text: string;
  /** What may have led to it; where it is left out, exit code and signal tell. */
  readonly cause?: string;
}

/** What a rank says of its child that is gone. */
export interface LostChild extends Ending {
  /** What it was at (`Link.told`); null where that is not known. */
  readonly told: number | null;
}

/** What a worker is told of the pool it serves. */
export interface Opening extends Greeting {
  /** The main script, for functions that are given as a text. */
  readonly main: string;
  /** The text of one that was given by `bun -e`, else null. */
  readonly text: string | null;
}

/** What a worker is told to keep to. */
export interface Rules {
  /** Bytes resident past which it says `Spent`; Infinity for no limit. */
  readonly maxMemory: number;
  /** Signals that it leaves to the controller. */
  readonly drainSignals: readonly string[];
}

/** What a worker is told of a function, before the first call of it. */
export interface FunctionTold {
  /** Its number in calls. */
  readonly id: number;
  readonly reference: FunctionReference;
  /** For messages. */
  readonly label: string;
}

/** How the two sides introduce themselves. */
export interface Greeting {
  readonly pid: number;
  readonly host: string;
  /** Where `pid` means this process; see `neighbours.ts`. */
  readonly pidSpace: string;
  /** µs after its last message that it may fall asleep. */
  readonly spinUs: number;
  /** Of a rank that serves a controller of its machine: where its note is (`link/board.ts`). */
  readonly board?: { readonly fd: number; readonly key: number } | undefined;
}

/** Bits of a frame's `flags`. */
export const Flag = {
  /** The body is the first of the frame's buffers. */
  BodyBehind: 1,
  /** Call: run under a deadline, given as f64 ms at the end of the body. */
  Deadline: 2,
  /** Call: not the first attempt; which one stands after the body, as f64, before any deadline. */
  Again: 4,
  /**
   * Call: the numbers of task and function stand after the body, as f64, before all else: one is
   * too large for its field.
   */
  Far: 8,
} as const;

/** The longest message; see the head of this file. */
export const MESSAGE_BYTES = 128 * 1024;

/** A body from this size on travels behind its message. */
const BODY_BYTES = 64 * 1024;

/** The longest buffer: as much as an ArrayBuffer of this engine holds. */
const BUFFER_BYTES = 2 ** 32;

/** The most buffers of one frame: their lengths have to fit the message. */
const BUFFERS = 4096;

/** The highest number up to which an f32 holds every whole one. */
const EXACT = 2 ** 24;

/** Bytes that may stand after a body: numbers of task and function, attempt, deadline. */
const AFTER_BODY = 32;

const MESSAGE_HEADER = 8;
const FRAME_HEADER = 20;

/**
 * One frame as it was received: a view of the message, good until the receiver returns. There is
 * one such object for a message, which stands for each of its frames in turn.
 */
export class Frame {
  kind = 0;
  flags = 0;
  task = 0;
  /** Of a call: the task's number in its pool, of which `task` has 32 bits. */
  order = 0;
  number = 0;
  deadline = Infinity;
  attempt = 1;
  format = 0;
  /** Where the body lies. */
  bytes: Uint8Array;
  start = 0;
  end = 0;
  buffers: readonly Uint8Array[] = NO_BUFFERS;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The value in it. */
  get content(): Encoded {
    const { format, bytes, start, end, buffers } = this;
    return { format, body: bytes.subarray(start, end), buffers };
  }
}

const NO_BUFFERS: readonly Uint8Array[] = [];
const NOTHING: Encoded = { format: 0, body: new Uint8Array(0), buffers: [] };

/** Frames on their way into one message. */
export class MessageWriter {
  #session: number;
  #bytes: Uint8Array;
  #view: DataView;
  #length = MESSAGE_HEADER;
  #buffers: Uint8Array[] = [];

  constructor(session: number) {
    this.#session = session;
    this.#bytes = new Uint8Array(new ArrayBuffer(4096));
    this.#view = new DataView(this.#bytes.buffer);
  }

  get empty(): boolean {
    return this.#length === MESSAGE_HEADER;
  }

  /** Whether a frame with that content still fits; if not, take the message first. */
  fits(content: Encoded = NOTHING): boolean {
    const body = content.body.length < BODY_BYTES ? content.body.length : 0;
    const trailer = 8 * (this.#buffers.length + content.buffers.length + 1);
    return this.empty || this.#length + FRAME_HEADER + body + AFTER_BODY + trailer <= MESSAGE_BYTES;
  }

  /**
   * Adds a frame. The body is copied, the buffers are not: they are read when the link sends them.
   * `order` is the task's number in its pool, of a call; 0 of one that is no task's.
   */
  write(
    kind: Kind,
    task: number,
    number = 0,
    content: Encoded = NOTHING,
    deadline = Infinity,
    attempt = 1,
    order = -1,
  ): void {
    const behind = content.body.length >= BODY_BYTES;
    const timed = deadline !== Infinity;
    const again = attempt > 1;
    const far = order > LAST_ID || (number > EXACT && order >= 0);
    const after = (timed ? 8 : 0) + (again ? 8 : 0) + (far ? 16 : 0);
    const bodyBytes = (behind ? 0 : content.body.length) + after;
    const bufferCount = content.buffers.length + (behind ? 1 : 0);
    this.#reserve(FRAME_HEADER + bodyBytes + 8 * (this.#buffers.length + bufferCount));
    const view = this.#view;
    const at = this.#length;
    view.setUint8(at, kind);
    view.setUint8(at + 1, content.format);
    const bits =
      (behind ? Flag.BodyBehind : 0) |
      (timed ? Flag.Deadline : 0) |
      (again ? Flag.Again : 0) |
      (far ? Flag.Far : 0);
    view.setUint16(at + 2, bits, true);
    view.setUint32(at + 4, task, true);
    view.setFloat32(at + 8, number, true);
    view.setUint32(at + 12, bodyBytes, true);
    view.setUint32(at + 16, bufferCount, true);
    const body = at + FRAME_HEADER;
    if (behind) this.#buffers.push(content.body.slice());
    else copy(content.body, this.#bytes, body);
    if (timed) view.setFloat64(body + bodyBytes - 8, deadline, true);
    if (again) view.setFloat64(body + bodyBytes - (timed ? 16 : 8), attempt, true);
    if (far) {
      view.setFloat64(body + bodyBytes - after, order, true);
      view.setFloat64(body + bodyBytes - after + 8, number, true);
    }
    if (content.buffers.length > 0) this.#buffers.push(...content.buffers);
    this.#length = body + bodyBytes;
  }

  /**
   * Takes over the frames of a whole message, which was received for this session, to pass it on.
   */
  load(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    const end = length - 8 * buffers.length;
    this.#reserve(length - MESSAGE_HEADER);
    this.#bytes.set(bytes.subarray(MESSAGE_HEADER, end), MESSAGE_HEADER);
    this.#length = end;
    this.#buffers = buffers;
  }

  /**
   * Ends the message. `bytes` is this writer's own memory: copy it, or keep it and `renew`. So is
   * the list `buffers` when it is empty: read it before more is written.
   */
  take(): { bytes: Uint8Array; length: number; buffers: Uint8Array[] } {
    this.#reserve(8 * this.#buffers.length);
    const buffers = this.#buffers;
    this.#view.setUint32(0, this.#session, true);
    this.#view.setUint32(4, buffers.length, true);
    let length = this.#length;
    for (const buffer of buffers) {
      this.#view.setFloat64(length, buffer.byteLength, true);
      length += 8;
    }
    this.#length = MESSAGE_HEADER;
    if (buffers.length > 0) this.#buffers = [];
    return { bytes: this.#bytes, length, buffers };
  }

  /** Writes into other memory from now on: whoever took the last message keeps what it lies in. */
  renew(bytes: Uint8Array = new Uint8Array(new ArrayBuffer(this.#bytes.length))): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const bytes = new Uint8Array(new ArrayBuffer(Math.max(needed, 2 * this.#bytes.length)));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.renew(bytes);
  }
}

/** `set` costs some 40 ns, whatever it copies; most bodies are a few bytes. */
function copy(from: Uint8Array, to: Uint8Array, at: number): void {
  const { length } = from;
  if (length > 32) return to.set(from, at);
  for (let i = 0; i < length; i++) to[at + i] = from[i]!;
}

/** Refuses a value with more buffers than a frame takes. */
export function checkBuffers(count: number, what: string): void {
  if (count <= BUFFERS) return;
  throw new ValueError(
    `Cannot send ${what}: it holds ${count} arrays of 64 KiB and more, and ${BUFFERS} can be ` +
      "sent at once; join them into fewer",
  );
}

/** The kind of a message's first frame; 0 where it has none. */
export function firstKind(bytes: Uint8Array, length: number): number {
  return length > MESSAGE_HEADER ? bytes[MESSAGE_HEADER]! : 0;
}

const NO_SIZES: readonly number[] = [];

/** The head of a message: its session, and the lengths of the buffers that follow it. */
export function readHead(
  bytes: Uint8Array,
  length: number,
): { session: number; sizes: readonly number[] } {
  checkLength(bytes, length);
  // Byte by byte, and as a rule that is all: a DataView takes longer to make than this does.
  if ((bytes[4]! | bytes[5]! | bytes[6]! | bytes[7]!) === 0) {
    const session = bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24);
    return { session: session >>> 0, sizes: NO_SIZES };
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const count = view.getUint32(4, true);
  if (count > (length - MESSAGE_HEADER) / 8) throw malformed(`it announces ${count} buffers`);
  const sizes: number[] = [];
  for (let i = 0; i < count; i++) {
    const size = view.getFloat64(length - 8 * (count - i), true);
    if (!Number.isInteger(size) || size < 0 || size > BUFFER_BYTES) {
      throw malformed(`it announces a buffer of ${size} bytes`);
    }
    sizes.push(size);
  }
  return { session: view.getUint32(0, true), sizes };
}

/**
 * Calls `onFrame` for each frame of a message whose buffers have all arrived. Throws a `BsyncError`
 * at the first frame that does not lie within the message; those before it were delivered.
 */
export function readFrames(
  bytes: Uint8Array,
  length: number,
  buffers: readonly Uint8Array[],
  onFrame: (frame: Frame) => void,
): void {
  checkLength(bytes, length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  const end = length - 8 * buffers.length;
  const frame = new Frame(bytes);
  let at = MESSAGE_HEADER;
  let next = 0;
  while (at < end) {
    if (at + FRAME_HEADER > end) throw malformed("its last frame is cut off");
    const flags = view.getUint16(at + 2, true);
    const bodyBytes = view.getUint32(at + 12, true);
    const bufferCount = view.getUint32(at + 16, true);
    const body = at + FRAME_HEADER;
    const timed = (flags & Flag.Deadline) !== 0;
    const again = (flags & Flag.Again) !== 0;
    const behind = (flags & Flag.BodyBehind) !== 0;
    const far = (flags & Flag.Far) !== 0;
    const last = body + bodyBytes - (timed ? 8 : 0);
    const bodyEnd = last - (again ? 8 : 0) - (far ? 16 : 0);
    if (body + bodyBytes > end) throw malformed("a body runs past its end");
    if (next + bufferCount > buffers.length) throw malformed("a frame lacks buffers");
    if (bodyEnd < body) throw malformed("a frame lacks its deadline, its attempt, or its numbers");
    if (behind && bufferCount === 0) throw malformed("a frame lacks its body");
    frame.kind = view.getUint8(at);
    frame.format = view.getUint8(at + 1);
    frame.flags = flags;
    frame.task = view.getUint32(at + 4, true);
    frame.order = far ? view.getFloat64(bodyEnd, true) : frame.task;
    frame.number = far ? view.getFloat64(bodyEnd + 8, true) : view.getFloat32(at + 8, true);
    frame.deadline = timed ? view.getFloat64(last, true) : Infinity;
    frame.attempt = again ? view.getFloat64(last - 8, true) : 1;
    frame.bytes = behind ? buffers[next]! : bytes;
    frame.start = behind ? 0 : body;
    frame.end = behind ? frame.bytes.length : bodyEnd;
    frame.buffers =
      bufferCount === 0 ? NO_BUFFERS : buffers.slice(next + (behind ? 1 : 0), next + bufferCount);
    onFrame(frame);
    next += bufferCount;
    at = body + bodyBytes;
  }
  if (next < buffers.length) throw malformed("it has buffers that belong to no frame");
}

function checkLength(bytes: Uint8Array, length: number): void {
  if (length >= MESSAGE_HEADER && length <= bytes.length) return;
  throw malformed(`it has ${length} bytes in memory for ${bytes.length}`);
}

/**
 * Memory for a buffer that was announced, an ArrayBuffer of its own. All of it is going to be
 * written, so it is not zeroed: it may be memory that was in use before, whose pages are there. (64
 * MiB of new pages take 30 ms of the kernel's time, a copy of them 10.)
 */
export function allocate(size: number): Uint8Array {
  try {
    return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  } catch {
    throw malformed(`there is no memory for a buffer of ${size} bytes`);
  }
}

/** How the other side introduced itself: nothing that it sent is trusted. */
export function readGreeting(value: unknown): Greeting {
  if (typeof value === "object" && value !== null) {
    const { pid, host, pidSpace, spinUs } = value as Partial<Greeting>;
    const isPid = Number.isSafeInteger(pid) && pid! > 0;
    const isPlace = typeof host === "string" && typeof pidSpace === "string";
    if (isPid && isPlace && typeof spinUs === "number" && spinUs >= 0) {
      const board = readBoard((value as Partial<Greeting>).board);
      return { pid: pid!, host, pidSpace, spinUs, board };
    }
  }
  throw malformed("it greets with what is no greeting");
}

function readBoard(value: unknown): Greeting["board"] {
  if (typeof value !== "object" || value === null) return undefined;
  const { fd, key } = value as { fd?: unknown; key?: unknown };
  const isWord = (word: unknown): word is number => Number.isInteger(word) && (word as number) >= 0;
  return isWord(fd) && isWord(key) ? { fd, key } : undefined;
}

/** An error about what came over a link: the link is of no use any more. */
export function malformed(what: string): BsyncError {
  return new BsyncError("BSYNC_FRAME", `Cannot read a message of a worker link: ${what}`);
}

export function isMalformed(error: unknown): error is BsyncError {
  return error instanceof BsyncError && error.code === "BSYNC_FRAME";
}
