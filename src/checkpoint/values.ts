/**
 * What stands in a checkpoint of results and items. A result is the pool's own encoding of it
 * behind a version byte and a checksum of what follows; an item known by its place is a digest of
 * its encoding.
 *
 *   version 1 │ format │ checksum │ body                                       no buffers
 *   version 1 │ format + 128 │ checksum │ count │ length, … │ body │ buffer, …
 *
 * Of the checksum: SQLite has none, and takes pages of zeros, which some file systems leave behind
 * after a crash, for what was written.
 */
import {
  type ClassReference,
  type DecodeContext,
  DIGEST,
  decodeValue,
  type EncodeContext,
  type Encoded,
  encodeValue,
} from "../codec/value.ts";
import { FunctionError, ValueError } from "../errors.ts";

/** Of the encoding of values. A change of the codec that older bytes do not survive raises it. */
export const VALUE_VERSION = 1;

const WITH_BUFFERS = 0x80;
/** The place of the checksum, 32 bits, as all numbers here the highest byte first. */
const SUM = 2;
const HEAD_BYTES = 6;

/** Where classes of errors are found; without it they arrive as errors of the same name. */
export interface Classes {
  exportersOf(maker: Function | null, prototype: object): readonly ClassReference[];
  exportedClass(reference: ClassReference): unknown;
}

/** Results as bytes and back. */
export class ResultCodec {
  readonly #encoding: EncodeContext;
  readonly #decoding: DecodeContext;

  constructor(classes: Classes | null) {
    this.#encoding = {
      functionId: (_, path) => {
        throw new FunctionError(`Cannot keep ${path}: a function is not kept by its text`);
      },
      classOf: (maker, prototype) => classes?.exportersOf(maker, prototype) ?? null,
    };
    this.#decoding = {
      functionOf: () => {
        throw damaged();
      },
      classFor: (reference) => {
        const found = classes?.exportedClass(reference);
        return typeof found === "function" ? found : null;
      },
    };
  }

  /** Bytes of their own, whatever becomes of the value. */
  encode(value: unknown, root: string): Uint8Array {
    const { format, body, buffers } = encodeValue(value, root, this.#encoding);
    if (buffers.length > 0) return withBuffers({ format, body, buffers });
    const bytes = new Uint8Array(HEAD_BYTES + body.length);
    bytes.set(body, HEAD_BYTES);
    return headed(bytes, format, body);
  }

  /** Throws ValueError on bytes of another version, and on damaged ones. */
  decode(bytes: Uint8Array): unknown {
    const [version, format = 0] = bytes;
    if (version !== VALUE_VERSION && version !== undefined) {
      throw new ValueError(`Cannot decode a value: version ${version} of it is not known here`);
    }
    const rest = bytes.subarray(HEAD_BYTES);
    if (bytes.length < HEAD_BYTES || writtenSum(bytes) !== sumOf(rest, format)) throw damaged();
    const encoded =
      format < WITH_BUFFERS
        ? { format, body: rest, buffers: [] }
        : partsOf(rest, format - WITH_BUFFERS);
    return decodeValue(encoded, this.#decoding);
  }
}

/**
 * Fills in what stands before `rest`. Byte by byte: a view on small arrays makes the engine move
 * their memory, which takes longer than all the rest of the encoding.
 */
function headed(bytes: Uint8Array, format: number, rest: Uint8Array): Uint8Array {
  const sum = sumOf(rest, format);
  bytes[0] = VALUE_VERSION;
  bytes[1] = format;
  for (let i = 0; i < 4; i++) bytes[SUM + i] = sum >>> (24 - 8 * i);
  return bytes;
}

function writtenSum(bytes: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < 4; i++) sum = sum * 256 + bytes[SUM + i]!;
  return sum;
}

/** The checksum of what follows the head; the format is part of it. */
function sumOf(rest: Uint8Array, format: number): number {
  return Bun.hash.xxHash32(rest, format);
}

function viewOn(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function withBuffers({ format, body, buffers }: Encoded): Uint8Array {
  const start = 4 + 8 * buffers.length;
  const length = buffers.reduce((sum, buffer) => sum + buffer.length, start + body.length);
  const bytes = new Uint8Array(HEAD_BYTES + length);
  const rest = bytes.subarray(HEAD_BYTES);
  const view = viewOn(rest);
  view.setUint32(0, buffers.length);
  rest.set(body, start);
  let at = start + body.length;
  for (const [i, buffer] of buffers.entries()) {
    view.setFloat64(4 + 8 * i, buffer.length);
    rest.set(buffer, at);
    at += buffer.length;
  }
  return headed(bytes, format + WITH_BUFFERS, rest);
}

/** `rest` is what follows the head. */
function partsOf(rest: Uint8Array, format: number): Encoded {
  if (rest.length < 4) throw damaged();
  const view = viewOn(rest);
  const count = view.getUint32(0);
  const start = 4 + 8 * count;
  if (start > rest.length) throw damaged();
  const buffers: Uint8Array[] = [];
  let end = rest.length;
  for (let i = count - 1; i >= 0; i--) {
    const length = view.getFloat64(4 + 8 * i);
    if (!Number.isSafeInteger(length) || length < 0 || length > end - start) throw damaged();
    // A copy: it becomes the memory of an ArrayBuffer of the value.
    buffers.unshift(rest.slice(end - length, end));
    end -= length;
  }
  return { format, body: rest.subarray(start, end), buffers };
}

/** Functions and classes as far as a digest needs them: nothing of where they stand. */
const DIGESTING: EncodeContext = {
  functionId: (fn) => Bun.hash.xxHash32(textOf.call(fn)),
  classOf: () => null,
  framesFor: () => "",
  sharedId: (value) => (value as { [DIGEST]?: () => number })[DIGEST]?.() ?? null,
};

const textOf = Function.prototype.toString;

/** Bits of a digest: as many as a number holds exactly. */
const DIGEST_BITS = 53;

/**
 * A number that differs where the content of two items does; properties in another order differ,
 * too. It is the same in each version of Bun. 0 for an item that cannot be encoded.
 */
export function digestOf(item: unknown): number {
  try {
    const { format, body, buffers } = encodeValue(item, "item", DIGESTING);
    let hash = Bun.hash.xxHash64(body, BigInt(format));
    for (const buffer of buffers) hash = Bun.hash.xxHash64(buffer, hash);
    return Number(BigInt.asUintN(DIGEST_BITS, hash));
  } catch {
    // A call of it will be refused, with a better message than one of here.
    return 0;
  }
}

/**
 * A key as SQLite keeps it: text where that is exact, else its UTF-16 code units. No text equals
 * any of those.
 */
export function keyCell(key: string): string | Uint8Array {
  const isExact = key.isWellFormed() && !key.includes("\0");
  return isExact ? key : new Uint8Array(Buffer.from(key, "utf16le"));
}

/** The key of a cell. */
export function keyIn(cell: string | Uint8Array): string {
  return typeof cell === "string" ? cell : Buffer.from(cell).toString("utf16le");
}

function damaged(): ValueError {
  return new ValueError("Cannot decode a value: its bytes are damaged");
}
