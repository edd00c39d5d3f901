/**
 * Reads CBOR without cbor-x. cbor-x assigns properties, and changed prototypes would intercept
 * that. Slower, and only for bytes that `decodeCbor` has checked.
 */
import { append, define } from "./own.ts";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Simple values, by the last bits of their head. */
const SIMPLE: Readonly<Record<number, unknown>> = { 20: false, 21: true, 22: null };

/** Byte strings in the result are views on `bytes`. */
export function readItems(bytes: Uint8Array): unknown {
  return new Items(bytes).read();
}

class Items {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  read(): unknown {
    const head = this.#bytes[this.#at++]!;
    const major = head >> 5;
    if (major === 7) return this.#simple(head & 31);
    const count = this.#count(head & 31);
    switch (major) {
      case 0:
        return count;
      case 1:
        return -1 - count;
      case 2:
        return this.#take(count);
      case 3:
        return utf8.decode(this.#take(count));
      case 4:
        return this.#list(count);
      default:
        return this.#map(count);
    }
  }

  #simple(count: number): unknown {
    if (count !== 27) return SIMPLE[count];
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8);
  }

  /** The number that follows a head, or is in it. */
  #count(count: number): number {
    if (count < 24) return count;
    const width = 1 << (count - 24);
    this.#at += width;
    const at = this.#at - width;
    if (width === 1) return this.#view.getUint8(at);
    return width === 2 ? this.#view.getUint16(at) : this.#view.getUint32(at);
  }

  #take(length: number): Uint8Array {
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  #list(count: number): unknown[] {
    const list: unknown[] = [];
    for (let i = 0; i < count; i++) append(list, this.read());
    return list;
  }

  #map(count: number): object {
    const map = {};
    for (let i = 0; i < count; i++) {
      const key = this.read() as string;
      define(map, key, this.read(), true);
    }
    return map;
  }
}
