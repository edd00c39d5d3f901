/**
 * Memory as MPI sees it: a typed array has its MPI datatype (MPI 4.0 section 3.2.2) and its count;
 * any other memory is bytes.
 */

/** Typed arrays with an MPI datatype. */
export type MpiArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Float64Array;

/** Memory to send, or to receive into. `DataView`s and buffers are bytes, as `Uint8Array`s are. */
export type MpiBuffer = MpiArray | DataView | ArrayBuffer | SharedArrayBuffer;

/** One of MPI's datatypes. */
export interface Datatype {
  /** Its number in `c/bsync_codes.h`. */
  readonly code: number;
  /** Its code in reductions: a byte counts as a number there. */
  readonly reduced: number;
  /** The class name of its arrays. */
  readonly name: string;
  make(count: number): MpiArray;
}

const UINT8 = 2;

function datatype(code: number, make: new (count: number) => MpiArray, reduced = code): Datatype {
  return { code, reduced, name: make.name, make: (count) => new make(count) };
}

/** By the name of the array's class, which subclasses have as well. */
const DATATYPES: Readonly<Record<string, Datatype>> = {
  __proto__: null as never,
  Uint8Array: datatype(0, Uint8Array, UINT8),
  Int8Array: datatype(1, Int8Array),
  Uint8ClampedArray: datatype(UINT8, Uint8ClampedArray),
  Int16Array: datatype(3, Int16Array),
  Uint16Array: datatype(4, Uint16Array),
  Int32Array: datatype(5, Int32Array),
  Uint32Array: datatype(6, Uint32Array),
  BigInt64Array: datatype(7, BigInt64Array),
  BigUint64Array: datatype(8, BigUint64Array),
  Float32Array: datatype(9, Float32Array),
  Float64Array: datatype(10, Float64Array),
};

/**
 * By class, which takes a few ns where the name takes thirty. bun:ffi refuses an object that only
 * claims to be of that class, with a `TypeError`.
 */
const BY_CLASS = new Map<unknown, Datatype>(
  Object.values(DATATYPES).map((type) => [type.make(0).constructor, type]),
);

/** The datatype of a typed array, unless it is of a subclass. */
export function plainType(value: unknown): Datatype | undefined {
  const type = BY_CLASS.get((value as object | null | undefined)?.constructor);
  if (type !== undefined && (value as MpiArray).length === 0 && isDetached(value)) return undefined;
  return type;
}

/** Whether a value was memory, which was transferred to another owner. */
export function isDetached(value: unknown): boolean {
  const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
  return buffer instanceof ArrayBuffer && buffer.detached;
}

/** The typed array over this memory; undefined for other values and for transferred memory. */
export function arrayOf(value: unknown): MpiArray | undefined {
  if (isDetached(value)) return undefined;
  if (ArrayBuffer.isView(value)) {
    if (!(value instanceof DataView)) return value as MpiArray;
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  const isBuffer = value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
  return isBuffer ? new Uint8Array(value) : undefined;
}

/** The datatype of an array; undefined if MPI has none. */
export function datatypeOf(array: MpiArray): Datatype | undefined {
  return DATATYPES[array[Symbol.toStringTag]];
}

/** Whether two arrays have memory in common: all of both, some of it, or none. */
export function shared(a: MpiArray, b: MpiArray): "all" | "some" | "none" {
  if (a === b) return a.byteLength === 0 ? "none" : "all";
  if (a.buffer !== b.buffer || a.byteLength === 0 || b.byteLength === 0) return "none";
  const [from, to] = [a.byteOffset, a.byteOffset + a.byteLength];
  const [start, end] = [b.byteOffset, b.byteOffset + b.byteLength];
  if (from === start && to === end) return "all";
  return from < end && start < to ? "some" : "none";
}

/** The kind of `value`, for a message. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value !== "object") return `a ${typeof value}`;
  const name = Object.prototype.toString.call(value).slice(8, -1);
  return name === "Object" ? "an object" : `${/^[AEIOU]/.test(name) ? "an" : "a"} ${name}`;
}
