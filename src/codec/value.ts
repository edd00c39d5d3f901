/**
 * Values as bytes and back: exact, with identity inside one value.
 *
 * Three formats, the cheapest that carries the value: a few scalars (scalars.ts), a plain tree
 * (plain.ts), any graph (writer.ts, reader.ts).
 *
 * Values travel as with structured clone, with more kept: a Buffer arrives as a Buffer, a null
 * prototype stays null, errors keep class, cause and own properties, functions go through the
 * context, a proxy arrives as what it shows. Less is kept in four places: of an ArrayBuffer only
 * the bytes that views cover (buffers.ts); a view that tracks the length of a resizable buffer
 * arrives with a fixed length; objects that the engine does not write for other processes are
 * refused, as SharedArrayBuffers and keys that may not be exported (host.ts); and so are event
 * emitters. Properties under symbols, properties that are not enumerable, a RegExp's `lastIndex`
 * and properties added to a Map, a Date or a view stay behind, as with structured clone.
 */
import { ValueError } from "../errors.ts";
import { decodeCbor, encodeCbor } from "./cbor.ts";
import { lookAbove } from "./own.ts";
import { Copies, copyPlain, isPlainScalar } from "./plain.ts";
import { readGraph } from "./reader.ts";
import { decodeScalars, encodeScalars } from "./scalars.ts";
import {
  type DecodeContext,
  type EncodeContext,
  type Encoded,
  Format,
  NO_BUFFERS,
} from "./types.ts";
import { GraphWriter } from "./writer.ts";

export {
  type ClassReference,
  type DecodeContext,
  DIGEST,
  type EncodeContext,
  type Encoded,
  OUT_OF_BAND_BYTES,
} from "./types.ts";

/**
 * Encodes `value`; paths in messages begin with `root`. Throws ValueError for a value that cannot
 * travel, and the errors of `context.functionId`. With root "args" the outer array counts as made
 * by a rest parameter: it is searched for holes, but not for properties beside its elements.
 *
 * @example
 * const { format, body, buffers } = encodeValue([1, "two", data], "args", context);
 */
export function encodeValue(value: unknown, root: string, context: EncodeContext): Encoded {
  const fresh = root === "args";
  const scalars = encodeScalars(value, fresh);
  if (scalars !== null) return scalars;
  const copies = new Copies();
  const plain = lookAbove() ? plainOf(value, copies, fresh) : undefined;
  if (plain !== undefined) {
    return { format: Format.Plain, body: encodeCbor(plain), buffers: NO_BUFFERS };
  }
  return new GraphWriter(root, context, copies, false).write(value);
}

/** The value for cbor-x to encode unchanged; undefined if `value` is a graph. */
function plainOf(value: unknown, copies: Copies, fresh: boolean): unknown {
  if (typeof value !== "object" || value === null) {
    return isPlainScalar(value) ? value : undefined;
  }
  try {
    return copyPlain(value, copies, fresh) ?? undefined;
  } catch {
    // A getter or a proxy threw: the graph writer will say where.
    return undefined;
  }
}

/**
 * The value that was encoded, in memory of its own: of `encoded` only `buffers` are kept, and
 * become the memory of ArrayBuffers as they are. Throws ValueError on damaged bytes.
 *
 * @example
 * const args = decodeValue({ format, body, buffers }, context);
 */
export function decodeValue(encoded: Encoded, context: DecodeContext): unknown {
  switch (encoded.format) {
    case Format.Scalars:
      return decodeScalars(encoded.body);
    case Format.Plain:
      return decodeCbor(encoded.body, false);
    case Format.Graph:
      return readGraph(encoded, context);
    default:
      throw new ValueError(`Cannot decode a value: there is no format ${encoded.format}`);
  }
}

/** An encoded value in received memory: its body is `bytes` from `start` to `end`. */
export interface EncodedAt {
  readonly format: number;
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly content: Encoded;
}

/** As `decodeValue`; scalars, the most frequent values, are read in place. */
export function decodeAt(encoded: EncodedAt, context: DecodeContext): unknown {
  if (encoded.format === Format.Scalars) {
    return decodeScalars(encoded.bytes, encoded.start, encoded.end);
  }
  return decodeValue(encoded.content, context);
}

/** Bytes to be sent of an encoded value. */
export function bytesOf({ body, buffers }: Encoded): number {
  return buffers.reduce((sum, { byteLength }) => sum + byteLength, body.byteLength);
}
