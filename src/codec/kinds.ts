/** The kinds of values, by what the engine knows of them, not by what they pretend. */
import types from "node:util/types";
import { hostBytes, isMadeOfProperties } from "./host.ts";
import { isBound, isOrdinary } from "./refusal.ts";

/** The bytes of a Blob if they are in memory, else null. */
export function bytesOf(blob: Blob): Uint8Array | null {
  const reading = blob.bytes();
  // A file that cannot be read is no error here.
  reading.catch(() => {});
  const bytes: unknown = Bun.peek(reading);
  return bytes instanceof Uint8Array ? bytes : null;
}

/** Also old-style classes, whose objects only inherit from Error. */
export function isError(value: object): boolean {
  return types.isNativeError(value) || value instanceof Error;
}

/** Whether the format has a kind for a value. */
export function isCarried(value: object): boolean {
  try {
    if (ArrayBuffer.isView(value)) return isAttached(value.buffer);
    if (Array.isArray(value)) return true;
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === Object.prototype) return true;
    if (isError(value)) return true;
    if (types.isAnyArrayBuffer(value)) return isAttached(value);
    if (types.isMap(value) || types.isSet(value) || types.isDate(value)) return true;
    if (types.isRegExp(value)) return true;
    if (types.isBoxedPrimitive(value)) return !types.isSymbolObject(value);
    if (prototype === null) return !types.isModuleNamespaceObject(value);
    if (value instanceof Blob) return bytesOf(value) !== null || hostBytes(value) !== null;
    if (isOrdinary(prototype)) return true;
    if (isBound(prototype)) return false;
    return isMadeOfProperties(value) || hostBytes(value) !== null;
  } catch {
    // A proxy threw, or is revoked.
    return false;
  }
}

function isAttached(buffer: ArrayBufferLike): boolean {
  return buffer instanceof ArrayBuffer && !buffer.detached;
}

/** The primitive in a boxed primitive. */
export function unbox(value: object): unknown {
  if (types.isNumberObject(value)) return Number.prototype.valueOf.call(value);
  if (types.isStringObject(value)) return String.prototype.valueOf.call(value);
  if (types.isBooleanObject(value)) return Boolean.prototype.valueOf.call(value);
  return BigInt.prototype.valueOf.call(value);
}

/** Whether an element is missing. `values` says that no element is an accessor. */
export function hasHole(array: readonly unknown[], values: boolean): boolean {
  for (let i = 0; i < array.length; i++) {
    if (values && array[i] !== undefined) continue;
    if (!Object.hasOwn(array, i)) return true;
  }
  return false;
}

/** All elements as 32-bit integers if they are, else as doubles; null if one is no number. */
export function packNumbers(array: readonly unknown[]): Int32Array | Float64Array | null {
  const { length } = array;
  let integers = true;
  for (let i = 0; i < length; i++) {
    const item = array[i];
    if (typeof item !== "number") return null;
    if ((item | 0) !== item || (item === 0 && 1 / item < 0)) integers = false;
  }
  const packed = integers ? new Int32Array(length) : new Float64Array(length);
  for (let i = 0; i < length; i++) packed[i] = array[i] as number;
  return packed;
}
