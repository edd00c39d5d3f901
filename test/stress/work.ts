/**
 * What the calls of the stress test do, and the bytes they carry. Those follow from the number of
 * the call, so each side can tell whether it has got what the other one sent.
 */
import { heapStats } from "bun:jsc";
import { Random } from "./random.ts";

/** The longest argument, and the longest result. */
export const MOST_BYTES = 1 << 20;

/** Whose bytes begin where in it depends on the call. */
const block = randomBytes(2 * MOST_BYTES);

/** Tells the bytes of an argument from those of the result of the same call. */
export type Way = "argument" | "result";

/** The bytes that belong to a call: a part of memory that is nobody's to change. */
function bytesOf(call: number, way: Way, length: number): Uint8Array {
  const key = 2 * call + (way === "result" ? 1 : 0);
  const start = (Math.imul(key, 0x9e37_79b1) >>> 0) % MOST_BYTES;
  return block.subarray(start, start + length);
}

/** The same, in memory of their own, as a program would send them. */
export function newBytes(call: number, way: Way, length: number): Uint8Array {
  return bytesOf(call, way, length).slice();
}

/** Throws unless `bytes` are those of that call. */
export function check(call: number, way: Way, length: number, bytes: unknown): void {
  if (!(bytes instanceof Uint8Array)) {
    throw new Error(`call ${call}: its ${way} is no Uint8Array, but ${Bun.inspect(bytes)}`);
  }
  if (bytes.length !== length) {
    throw new Error(`call ${call}: its ${way} has ${bytes.length} bytes, not ${length}`);
  }
  if (Buffer.compare(bytes, bytesOf(call, way, length)) !== 0) {
    throw new Error(`call ${call}: its ${way} of ${length} bytes has other bytes than were sent`);
  }
}

/** Takes so many bytes, and returns so many. */
export function reply(call: number, taken: number, bytes: Uint8Array, given: number): Uint8Array {
  check(call, "argument", taken, bytes);
  return newBytes(call, "result", given);
}

/** The same, after the event loop has turned. */
export async function replyLater(
  call: number,
  taken: number,
  bytes: Uint8Array,
  given: number,
): Promise<Uint8Array> {
  check(call, "argument", taken, bytes);
  await new Promise((resolve) => setImmediate(resolve));
  return newBytes(call, "result", given);
}

/** A failure that tells its call, and has the bytes that `reply` would have returned. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly call: number;
  readonly bytes: Uint8Array;

  constructor(call: number, bytes: Uint8Array) {
    super(`call ${call} is refused`);
    this.call = call;
    this.bytes = bytes;
  }
}

export function refuse(call: number, taken: number, bytes: Uint8Array, given: number): never {
  check(call, "argument", taken, bytes);
  throw new Refusal(call, newBytes(call, "result", given));
}

/** Bytes that this process holds in its heap, and outside of it on behalf of what is in it. */
export function heapBytes(): number {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return heapSize + extraMemorySize;
}

function randomBytes(length: number): Uint8Array {
  const random = new Random(length);
  return Uint8Array.from({ length }, () => random.below(256));
}
