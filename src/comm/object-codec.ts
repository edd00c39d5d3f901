import { decodeValue, encodeValue } from "../codec/value.ts";
import { ValueError } from "../errors.ts";
import { aside } from "../os/whole.ts";
import { classOnWorker, exportersOnWorker } from "../function/worker-classes.ts";
import { PROC_NULL } from "./status.ts";

/**
 * Values as the bytes of one message:
 *
 * u32 mark, u32 format, u32 buffers, u32 0, f64 length of the body, f64 of each buffer, body,
 * buffer…
 */
const MARK = 0xb5_0b_1e_c7;
const HEAD = 24;

/** The root of paths in messages. */
const ROOT = "value";

const ENCODING = {
  functionId(_fn: Function, path: string): never {
    throw new ValueError(
      `Cannot send ${path}: functions travel as tasks of a pool, not by bsync/mpi`,
    );
  },
  classOf: exportersOnWorker,
};

const DECODING = {
  functionOf(): never {
    throw new ValueError("Cannot receive a function");
  },
  classFor: classOnWorker,
};

/** The bytes of a value. Throws `ValueError` with the path of a part that cannot travel. */
export function encodeObject(value: unknown): Uint8Array {
  const { format, body, buffers } = aside(() => encodeValue(value, ROOT, ENCODING));
  let length = HEAD + 8 * buffers.length + body.byteLength;
  for (const buffer of buffers) length += buffer.byteLength;
  const bytes = new Uint8Array(new ArrayBuffer(length));
  const head = new DataView(bytes.buffer);
  head.setUint32(0, MARK, true);
  head.setUint32(4, format, true);
  head.setUint32(8, buffers.length, true);
  head.setFloat64(16, body.byteLength, true);
  let at = HEAD + 8 * buffers.length;
  bytes.set(body, at);
  at += body.byteLength;
  buffers.forEach((buffer, i) => {
    head.setFloat64(HEAD + 8 * i, buffer.byteLength, true);
    bytes.set(buffer, at);
    at += buffer.byteLength;
  });
  return bytes;
}

/** The value of a message from `source`; undefined from `PROC_NULL`. */
export function decodeFrom(source: number, bytes: Uint8Array): unknown {
  return source === PROC_NULL ? undefined : decodeObject(bytes);
}

/** The value of these bytes, in memory of its own. Throws `ValueError` for bytes of no value. */
export function decodeObject(bytes: Uint8Array): unknown {
  if (bytes.byteLength < HEAD) throw noObject(bytes);
  const head = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = head.getUint32(8, true);
  let at = HEAD + 8 * count;
  if (head.getUint32(0, true) !== MARK || at > bytes.byteLength) throw noObject(bytes);
  const take = (place: number): Uint8Array => {
    const length = head.getFloat64(place, true);
    if (!(length >= 0) || at + length > bytes.byteLength) throw noObject(bytes);
    return bytes.subarray(at, (at += length));
  };
  const body = take(16);
  // Copies: these become the decoded value's memory, and must not retain the whole message.
  const buffers = Array.from({ length: count }, (_, i) => take(HEAD + 8 * i).slice());
  return decodeValue({ format: head.getUint32(4, true), body, buffers }, DECODING);
}

function noObject(bytes: Uint8Array): ValueError {
  return new ValueError(
    `Cannot receive a value: the ${bytes.byteLength} bytes that came are none; ` +
      "what send has sent is received with recv",
  );
}
