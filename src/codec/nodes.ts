/**
 * Format 2, a graph, as CBOR: `[root cell, nodes, memories]`.
 *
 * A node is an array that begins with its kind. What it holds are cells: a scalar as itself, or an
 * array: `[]` the next node that was not named yet, `[n]` node n, `[-1]` minus zero, and
 * `[Pair, x]`. The writer numbers nodes in the order in which it first meets them, cell by cell
 * and node by node, so the reader finds the same numbers by counting: only what is met again
 * costs a number. Neither side calls itself for what the user nested.
 *
 * A memory is a byte string, the index of a buffer beside the body, or `[either, maxByteLength]`.
 */

export const Kind = {
  /** key, cell, key, cell, … */
  Object: 0,
  /** As Object, with a null prototype. */
  Bare: 1,
  /** cell, cell, … */
  Array: 2,
  /** length, then key, cell, …: arrays with holes, or with properties beside their elements. */
  Sparse: 3,
  /** view type, memory: an array of numbers only. */
  Numbers: 4,
  /** key cell, cell, … */
  Map: 5,
  Set: 6,
  /** milliseconds */
  Date: 7,
  /** source, flags */
  RegExp: 8,
  /** The cell of the primitive. */
  Boxed: 9,
  /** memory */
  Memory: 10,
  /** view type, memory, byte offset, length in elements */
  View: 11,
  /**
   * base, classes, flags, message, name, stack, numbers of hidden and of inherited properties, then
   * key, cell, … of hidden, inherited and shown ones. A class is `[name, module, name in it, …]`.
   */
  Error: 12,
  /** memory, type, then for a File name and lastModified */
  Blob: 13,
  /** memory: the engine's own bytes for another process. */
  Host: 14,
} as const;

export const Pair = {
  /** Hexadecimal digits. */
  BigInt: 0,
  /** A memory of UTF-16 code units: strings that are not well formed. */
  Utf16: 1,
  /** A memory of UTF-8: long strings. */
  Utf8: 2,
  /** The context's number for the function. */
  Function: 3,
  /** As a key: the name of a symbol. */
  Symbol: 4,
  /** As a key: the name of a method whose result is the value. */
  Result: 5,
  /** The context's number for an object that does not travel itself. */
  Shared: 6,
} as const;

/** The constructors of views; the index in this list is the type on the wire. */
export const VIEW_TYPES = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float16Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
  DataView,
  Buffer,
] as const;

export const INT32 = VIEW_TYPES.indexOf(Int32Array);
export const FLOAT64 = VIEW_TYPES.indexOf(Float64Array);
export const BUFFER = VIEW_TYPES.indexOf(Buffer);

/** Bytes per element of a view type. */
export function bytesPerElement(type: number): number {
  const constructor = VIEW_TYPES[type];
  return constructor !== undefined && "BYTES_PER_ELEMENT" in constructor
    ? constructor.BYTES_PER_ELEMENT
    : 1;
}
