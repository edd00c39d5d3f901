import type { Encoded } from "../codec/value.ts";
import { LENT_BYTES, takeBack } from "../os/lent.ts";
import { Flag, BUFFER_BYTES, MESSAGE_HEADER, FRAME_HEADER, malformed } from "./frame-layout.ts";

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
  /** Of `Calls`: the place of the first item; -1 of other frames. */
  index = -1;
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
    const indexed = (flags & Flag.Index) !== 0;
    const again = (flags & Flag.Again) !== 0;
    const behind = (flags & Flag.BodyBehind) !== 0;
    const far = (flags & Flag.Far) !== 0;
    const last = body + bodyBytes - (timed || indexed ? 8 : 0);
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
    frame.index = indexed ? view.getFloat64(last, true) : -1;
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

/** Buffers of one size that were received and read, for the next ones: their pages are there. */
const recycled: Uint8Array[] = [];

/** As many as a link has on their way at a time. */
const RECYCLED = 16;

/** A buffer was read to its end, and nobody keeps it: the next one of its size comes into it. */
export function recycle(bytes: Uint8Array): void {
  if (recycled.length > 0 && recycled[0]!.length !== bytes.length) recycled.length = 0;
  if (recycled.length < RECYCLED) recycled.push(bytes);
}

/** No more of that size come. */
export function forgetRecycled(): void {
  recycled.length = 0;
}

/**
 * Memory for a buffer that was announced, an ArrayBuffer of its own. All of it is going to be
 * written, so it is not zeroed: it may be memory that was in use before, whose pages are there. (64
 * MiB of new pages take 30 ms of the kernel's time, a copy of them 10.) For large ones that is seen
 * to: `os/lent.ts`.
 */
export function allocate(size: number): Uint8Array {
  if (recycled.length > 0 && recycled[0]!.length === size) return recycled.shift()!;
  const back = size < LENT_BYTES ? null : takeBack(size);
  if (back !== null) return new Uint8Array(back);
  try {
    return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  } catch {
    throw malformed(`there is no memory for a buffer of ${size} bytes`);
  }
}
