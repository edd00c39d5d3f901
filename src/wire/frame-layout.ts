import { BsyncError, ValueError } from "../errors.ts";

/**
 * How messages lie in bytes. All numbers are little-endian.
 *
 *   message  = u32 session, u32 buffers, frame…, f64 length of each buffer
 *   frame    = u8 kind, u8 format, u16 flags, u32 task, f32 number, u32 body, u32 buffers, body…
 *
 * A message is at most `MESSAGE_BYTES` long, so that every link can receive it into memory that is
 * ready for it. Larger parts (arrays of 64 KiB and more, and bodies of that size) travel behind the
 * message as `buffers`, each in memory of its own, in the order of the frames they belong to.
 * `session` tells a pool from an earlier one that used the same tag: a late worker's message to the
 * earlier one is recognized, and dropped.
 */

/** Bits of a frame's `flags`. */
export const Flag = {
  /** The body is the first of the frame's buffers. */
  BodyBehind: 1,
  /** Call: run under a deadline, given as f64 ms at the end of the body. */
  Deadline: 2,
  /** Call: not the first attempt; its number stands after the body, as f64, before any deadline. */
  Again: 4,
  /**
   * Call: the numbers of task and function stand after the body, as f64, before all else: one of
   * them is too large for its field.
   */
  Far: 8,
  /** Calls: the place of the first item stands at the end, as f64, where a deadline would. */
  Index: 16,
} as const;

/** The longest message; see the head of this file. */
export const MESSAGE_BYTES = 128 * 1024;

/** A body from this size on travels behind its message. */
export const BODY_BYTES = 64 * 1024;

/** The longest buffer: as much as an ArrayBuffer of this engine holds. */
export const BUFFER_BYTES = 2 ** 32;

/** The most buffers of one frame: their lengths have to fit the message. */
const BUFFERS = 4096;

/** The highest number up to which an f32 holds every whole one. */
export const EXACT = 2 ** 24;

/** Bytes that may stand after a body: numbers of task and function, attempt, deadline. */
export const AFTER_BODY = 32;

export const MESSAGE_HEADER = 8;

export const FRAME_HEADER = 20;

/** Refuses a value with more buffers than a frame takes. */
export function checkBuffers(count: number, what: string): void {
  if (count <= BUFFERS) return;
  throw new ValueError(
    `Cannot send ${what}: it holds ${count} arrays of 64 KiB and more, and ${BUFFERS} can be ` +
      "sent at once; join them into fewer",
  );
}

/** An error about bytes that came over a link, which is of no use any more. */
export function malformed(what: string): BsyncError {
  return new BsyncError("BSYNC_FRAME", `Cannot read a message of a worker link: ${what}`);
}

export function isMalformed(error: unknown): error is BsyncError {
  return error instanceof BsyncError && error.code === "BSYNC_FRAME";
}
