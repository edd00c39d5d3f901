/**
 * The only user of cbor-x. Its build without `eval` never loads the native addon either; records
 * and everything else that would carry state from one message to the next are off.
 *
 * Only a small part of CBOR is ever written: 32-bit integers, doubles, text, byte strings, arrays,
 * maps, and four simple values. `decodeCbor` refuses all else before cbor-x sees it, so that no
 * received bytes reach its tags (big numbers, packed values, records, …).
 */
import { Encoder } from "cbor-x/index-no-eval";
import { ValueError } from "../errors.ts";
import { isWatched, whole } from "../os/whole.ts";
import { readItems } from "./items.ts";
import { lookAbove } from "./own.ts";

/** cbor-x: reuse this message's memory for the next one. Its types do not name it. */
const RESET_BUFFER_MODE = 1024;
/** A message longer than this does not keep its memory for the next one. */
const KEPT_BYTES = 4 * 1024 * 1024;

/**
 * The used part of cbor-x: its own types leave out the second argument of `encode`, and
 * `useBuffer`.
 */
interface Codec {
  encode(value: unknown, options: number): Uint8Array;
  decode(bytes: Uint8Array): unknown;
  useBuffer(buffer: Uint8Array): void;
}

// Its types leave out the options of `encode`, and `useBuffer`.
const codec = new Encoder({
  useRecords: false,
  // Object.keys and values instead of for-in, which would ask the object's own `hasOwnProperty`.
  variableMapSize: true,
  tagUint8Array: false,
}) as unknown as Codec;

function write(value: unknown): Uint8Array {
  return codec.encode(value, RESET_BUFFER_MODE);
}

/** The result is overwritten by the next call. */
export function encodeCbor(value: unknown): Uint8Array {
  const bytes = isWatched ? whole(() => write(value)) : write(value);
  // cbor-x writes only into a Buffer.
  if (bytes.length > KEPT_BYTES) codec.useBuffer(Buffer.allocUnsafeSlow(8192));
  // Not a Buffer, whose `slice` would not copy.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Byte strings in the result are views on `bytes`; throws ValueError on anything unexpected. */
export function decodeCbor(bytes: Uint8Array, byteStrings: boolean): unknown {
  checkCbor(bytes, byteStrings);
  try {
    return lookAbove() ? codec.decode(bytes) : readItems(bytes);
  } catch (cause) {
    throw new ValueError("Cannot decode a value: its bytes are damaged", { cause });
  }
}

/** For each head byte of an item without items inside: how many bytes follow; else HEADED. */
const FOLLOWING = new Uint8Array(256);
const HEADED = 255;
for (let head = 0; head < 256; head++) FOLLOWING[head] = following(head);

function following(head: number): number {
  const major = head >> 5;
  const count = head & 31;
  if (major === 7) return count === 27 ? 8 : count >= 20 && count <= 23 ? 0 : HEADED;
  if (major === 3) return count < 24 ? count : HEADED;
  if (major > 1 || count > 26) return HEADED;
  return count < 24 ? 0 : 1 << (count - 24);
}

/** Reads every head once; no stack is needed: counting the items still due is enough. */
function checkCbor(bytes: Uint8Array, byteStrings: boolean): void {
  const end = bytes.length;
  let at = 0;
  let due = 1;
  while (due > 0) {
    if (at >= end) throw damaged();
    const head = bytes[at++]!;
    due--;
    const skip = FOLLOWING[head]!;
    if (skip !== HEADED) {
      at += skip;
      continue;
    }
    let count = head & 31;
    if (count > 26) throw damaged();
    if (count > 23) {
      const width = 1 << (count - 24);
      if (width > end - at) throw damaged();
      count = 0;
      for (let i = 0; i < width; i++) count = count * 256 + bytes[at++]!;
    }
    const major = head >> 5;
    if (major === 4) due += count;
    else if (major === 5) due += 2 * count;
    else if (major === 3 || (major === 2 && byteStrings)) at += count;
    else throw damaged();
    // Every item takes at least one byte.
    if (due > end - at) throw damaged();
  }
  if (at !== end) throw damaged();
}

function damaged(): ValueError {
  return new ValueError("Cannot decode a value: its bytes are damaged");
}
