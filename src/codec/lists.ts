/**
 * Lists of scalars, as the items of maps and their results: thousands in a row, of one kind as a
 * rule. Formats 3 and 4 are 32-bit integers and doubles as they lie in memory, which is a few ns
 * for each; other lists are a plain tree.
 */
import { ValueError } from "../errors.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { append, lookAbove } from "./own.ts";
import { isPlainScalar } from "./plain.ts";
import { type Encoded, Format, NO_BUFFERS } from "./types.ts";

/** The longest string in a list. */
const MOST_CHARS = 4096;

/** Whether a list may hold a value. */
export function isListed(value: unknown): boolean {
  return isPlainScalar(value) && (typeof value !== "string" || value.length <= MOST_CHARS);
}

/**
 * Encodes the first `length` values, which are all `isListed`; the body is good until the next
 * value is encoded.
 *
 * @example
 * const { format, body } = encodeList([1, 2, 3]); // 12 bytes
 */
export function encodeList(values: readonly unknown[], length = values.length): Encoded {
  let at = 0;
  while (at < length && isInt(values[at])) at++;
  if (at === length) return numbers(Format.Ints, values, new Int32Array(length));
  while (at < length && typeof values[at] === "number") at++;
  if (at === length) return numbers(Format.Doubles, values, new Float64Array(length));
  return { format: Format.Plain, body: encodeCbor(values.slice(0, length)), buffers: NO_BUFFERS };
}

/** Element by element: constructors and `from` go by iterators, which a task may have replaced. */
function numbers(
  format: number,
  values: readonly unknown[],
  array: Int32Array | Float64Array,
): Encoded {
  for (let i = 0; i < array.length; i++) array[i] = values[i] as number;
  const body = new Uint8Array(array.buffer, 0, array.byteLength);
  return { format, body, buffers: NO_BUFFERS };
}

function isInt(value: unknown): boolean {
  return typeof value === "number" && (value | 0) === value;
}

/** The list from `start` to `end`; throws ValueError on bytes that no list has. */
export function decodeList(
  format: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): unknown[] {
  if (format === Format.Ints) return listOf(new Int32Array(copied(bytes, start, end, 4)));
  if (format === Format.Doubles) return listOf(new Float64Array(copied(bytes, start, end, 8)));
  const list = format === Format.Plain ? decodeCbor(bytes.subarray(start, end), false) : null;
  if (!Array.isArray(list)) throw new ValueError("Cannot decode a list: its bytes are damaged");
  return list;
}

function listOf(numbers: Int32Array | Float64Array): unknown[] {
  const list: unknown[] = [];
  if (lookAbove()) for (let i = 0; i < numbers.length; i++) list.push(numbers[i]);
  else for (let i = 0; i < numbers.length; i++) append(list, numbers[i]);
  return list;
}

/** A view of numbers has to begin at a multiple of their size; received bytes begin anywhere. */
function copied(bytes: Uint8Array, start: number, end: number, size: number): ArrayBuffer {
  if ((end - start) % size === 0) return bytes.slice(start, end).buffer as ArrayBuffer;
  throw new ValueError("Cannot decode a list: its bytes are damaged");
}
