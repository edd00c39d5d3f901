/**
 * The one door to cbor-x. Its build without `eval` never loads the native addon either; records
 * and everything else that would carry state from one message to the next are off.
 *
 * Only a small part of CBOR is ever written: 32-bit integers, doubles, text, byte strings, arrays,
 * maps, and four simple values. `decodeCbor` refuses all else before cbor-x sees it, so that its
 * tags (big numbers, packed values, records, …) are out of reach of whatever bytes arrive.
 */
import { Encoder } from "cbor-x/index-no-eval";
import { ValueError } from "../errors.ts";

/** cbor-x: reuse the room that this message took for the next one. Its types do not name it. */
const RESET_BUFFER_MODE = 1024;
/** A message longer than this does not keep its memory for the next one. */
const KEPT_BYTES = 4 * 1024 * 1024;

interface Codec {
  encode(value: unknown, options: number): Uint8Array;
  decode(bytes: Uint8Array): unknown;
  useBuffer(buffer: Uint8Array): void;
}

const codec = new Encoder({
  useRecords: false,
  // Object.keys and values instead of for-in, which would ask the object's own `hasOwnProperty`.
  variableMapSize: true,
  tagUint8Array: false,
}) as unknown as Codec;

/** The result is overwritten by the next call. */
export function encodeCbor(value: unknown): Uint8Array {
  const bytes = codec.encode(value, RESET_BUFFER_MODE);
  if (bytes.length > KEPT_BYTES) codec.useBuffer(new Uint8Array(8192));
  return bytes;
}

/** Byte strings in the result are views on `bytes`; throws ValueError on anything unexpected. */
export function decodeCbor(bytes: Uint8Array, byteStrings: boolean): unknown {
  checkCbor(bytes, byteStrings);
  try {
    return codec.decode(bytes);
  } catch (cause) {
    throw new ValueError("Cannot decode a value: its bytes are damaged", { cause });
  }
}

/** Reads every header once; no stack is needed, because a count of what is still due will do. */
function checkCbor(bytes: Uint8Array, byteStrings: boolean): void {
  const end = bytes.length;
  let due = 1;
  let at = 0;
  while (due > 0) {
    if (at >= end || due > end - at) throw damaged();
    const head = bytes[at++]!;
    const major = head >> 5;
    let count = head & 31;
    if (major === 7) {
      if (count === 27) at += 8;
      else if (count < 20 || count > 23) throw damaged();
      due--;
      continue;
    }
    if (count === 24) {
      count = bytes[at++]!;
    } else if (count === 25) {
      count = bytes[at]! * 0x100 + bytes[at + 1]!;
      at += 2;
    } else if (count === 26) {
      count =
        bytes[at]! * 0x1000000 + (bytes[at + 1]! << 16) + (bytes[at + 2]! << 8) + bytes[at + 3]!;
      at += 4;
    } else if (count > 26) {
      throw damaged();
    }
    due--;
    if (major === 4) due += count;
    else if (major === 5) due += 2 * count;
    else if (major === 3 || (major === 2 && byteStrings)) at += count;
    else if (major > 1) throw damaged();
    // Written so that a count read past the end (NaN) fails too.
    if (!(at <= end) || !(due <= end)) throw damaged();
  }
  if (at !== end) throw damaged();
}

function damaged(): ValueError {
  return new ValueError("Cannot decode a value: its bytes are damaged");
}
