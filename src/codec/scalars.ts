/**
 * Format 0: one scalar, or an array of a few. Most calls are this small, so nothing is allocated
 * on the way out: the bytes, and the `Encoded` that holds them, are made once for every length.
 *
 * First byte: the number of elements, or SINGLE. Then per value a tag byte and what it needs;
 * tags from SMALL on are the integers -64 to 127 themselves.
 */
import { ValueError } from "../errors.ts";
import { Elements, elementsOf } from "./arrays.ts";
import { append, lookAbove } from "./own.ts";
import { type Encoded, Format, NO_BUFFERS } from "./types.ts";

const SINGLE = 255;
const MOST_ELEMENTS = 64;
const MOST_CHARS = 200;
const ROOM = 2048;

const Tag = {
  Undefined: 0,
  Null: 1,
  False: 2,
  True: 3,
  Double: 4,
  Int: 5,
  Narrow: 6,
  Wide: 7,
} as const;
const SMALL = 64;
const SMALL_MIN = -64;
const SMALL_MAX = 127;

const bytes = new Uint8Array(new ArrayBuffer(ROOM));
const results: Encoded[] = Array.from({ length: ROOM + 1 }, (_, length) => ({
  format: Format.Scalars,
  body: bytes.subarray(0, length),
  buffers: NO_BUFFERS,
}));

// A double is moved byte by byte through these: that takes no new view on other memory.
const double = new Float64Array(1);
const doubleBytes = new Uint8Array(double.buffer);

/**
 * Null for any other `value`. `fresh`: the array is known to be ordinary, without properties beside
 * its elements; checking that costs more than encoding it.
 */
export function encodeScalars(value: unknown, fresh: boolean): Encoded | null {
  if (typeof value !== "object" || value === null) {
    bytes[0] = SINGLE;
    const end = put(value, 1);
    return end < 0 ? null : results[end]!;
  }
  if (!Array.isArray(value) || value.length > MOST_ELEMENTS) return null;
  const count = value.length;
  // Elements on the prototype show through a hole.
  if (!fresh && (elementsOf(value) !== Elements.Stored || !lookAbove())) return null;
  bytes[0] = count;
  let at = 1;
  for (let i = 0; i < count; i++) {
    const item: unknown = value[i];
    if (item === undefined && !Object.hasOwn(value, i)) return null;
    at = put(item, at);
    if (at < 0) return null;
  }
  return results[at]!;
}

/** Writes one value; returns the next position, or -1. */
function put(value: unknown, at: number): number {
  if (at > ROOM - 9) return -1;
  switch (typeof value) {
    case "number":
      return putNumber(value, at);
    case "string":
      return putString(value, at);
    case "boolean":
      bytes[at] = value ? Tag.True : Tag.False;
      return at + 1;
    case "undefined":
      bytes[at] = Tag.Undefined;
      return at + 1;
    case "object":
      if (value !== null) return -1;
      bytes[at] = Tag.Null;
      return at + 1;
    default:
      return -1;
  }
}

function putNumber(value: number, at: number): number {
  if ((value | 0) === value && (value !== 0 || 1 / value > 0)) {
    if (value >= SMALL_MIN && value <= SMALL_MAX) {
      bytes[at] = SMALL - SMALL_MIN + value;
      return at + 1;
    }
    bytes[at] = Tag.Int;
    bytes[at + 1] = value;
    bytes[at + 2] = value >> 8;
    bytes[at + 3] = value >> 16;
    bytes[at + 4] = value >> 24;
    return at + 5;
  }
  bytes[at] = Tag.Double;
  double[0] = value;
  for (let i = 0; i < 8; i++) bytes[at + 1 + i] = doubleBytes[i]!;
  return at + 9;
}

function putString(value: string, at: number): number {
  const length = value.length;
  if (length > MOST_CHARS || at + 2 + 2 * length > ROOM) return -1;
  bytes[at + 1] = length;
  let seen = 0;
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i);
    seen |= unit;
    bytes[at + 2 + i] = unit;
  }
  if (seen < 256) {
    bytes[at] = Tag.Narrow;
    return at + 2 + length;
  }
  bytes[at] = Tag.Wide;
  for (let i = 0; i < length; i++) {
    const unit = value.charCodeAt(i);
    bytes[at + 2 + 2 * i] = unit;
    bytes[at + 3 + 2 * i] = unit >> 8;
  }
  return at + 2 + 2 * length;
}

/**
 * Throws ValueError unless the bytes from `start` to `end` are exactly what `encodeScalars` writes.
 */
export function decodeScalars(body: Uint8Array, start = 0, end = body.length): unknown {
  if (start >= end) throw damaged();
  const count = body[start]!;
  at = start + 1;
  limit = end;
  let value: unknown;
  if (count === SINGLE) {
    value = take(body);
  } else {
    if (count > MOST_ELEMENTS) throw damaged();
    value = count === 1 ? [take(body)] : takeArray(body, count);
  }
  if (at !== end) throw damaged();
  return value;
}

/** A literal defines its elements, a loop assigns them; most calls have few arguments. */
function takeArray(body: Uint8Array, count: number): unknown[] {
  switch (count) {
    case 0:
      return [];
    case 2:
      return [take(body), take(body)];
    case 3:
      return [take(body), take(body), take(body)];
    case 4:
      return [take(body), take(body), take(body), take(body)];
    case 5:
      return [take(body), take(body), take(body), take(body), take(body)];
    case 6:
      return [take(body), take(body), take(body), take(body), take(body), take(body)];
  }
  lookAbove();
  const array: unknown[] = [];
  for (let i = 0; i < count; i++) append(array, take(body));
  return array;
}

/** The position of `take`; a variable of the module, so that `take` returns the value alone. */
let at = 0;
/** The end of the bytes that `take` may read. */
let limit = 0;

function take(body: Uint8Array): unknown {
  if (at >= limit) throw damaged();
  const tag = body[at++]!;
  if (tag >= SMALL) return tag - SMALL + SMALL_MIN;
  switch (tag) {
    case Tag.Undefined:
      return undefined;
    case Tag.Null:
      return null;
    case Tag.False:
      return false;
    case Tag.True:
      return true;
    case Tag.Double: {
      if (at + 8 > limit) throw damaged();
      for (let i = 0; i < 8; i++) doubleBytes[i] = body[at + i]!;
      at += 8;
      return double[0];
    }
    case Tag.Int: {
      if (at + 4 > limit) throw damaged();
      at += 4;
      return body[at - 4]! | (body[at - 3]! << 8) | (body[at - 2]! << 16) | (body[at - 1]! << 24);
    }
    case Tag.Narrow:
      return takeString(body, 1);
    case Tag.Wide:
      return takeString(body, 2);
    default:
      throw damaged();
  }
}

function takeString(body: Uint8Array, width: 1 | 2): string {
  if (at >= limit) throw damaged();
  const length = body[at++]!;
  if (at + length * width > limit) throw damaged();
  const from = at;
  at += length * width;
  let text = "";
  if (width === 1) {
    if (length > 8) return Buffer.prototype.latin1Slice.call(body, from, at);
    for (let i = from; i < at; i++) text += String.fromCharCode(body[i]!);
  } else {
    for (let i = from; i < at; i += 2) text += String.fromCharCode(body[i]! | (body[i + 1]! << 8));
  }
  return text;
}

function damaged(): ValueError {
  return new ValueError("Cannot decode a value: its bytes are damaged");
}
