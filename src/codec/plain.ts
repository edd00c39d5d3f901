/**
 * Format 1: plain objects and arrays of scalars, each met once, copied so that cbor-x can take them
 * unchanged. Any other value stops the scan, and the graph goes on from there: it gets the copies,
 * so that no getter runs twice.
 */
import { Elements, elementsOf } from "./arrays.ts";
import { append, isInherited } from "./own.ts";
import { OUT_OF_BAND_BYTES } from "./types.ts";

/** Fewer objects than this are found faster by a linear search. */
const FEW = 8;

/** Originals to their shallow copies; children that were scanned to the end are replaced. */
export class Copies {
  readonly #originals: object[] = [];
  readonly #copies: object[] = [];
  #map: Map<object, object> | null = null;

  get(original: object): object | undefined {
    if (this.#map !== null) return this.#map.get(original);
    const index = this.#originals.indexOf(original);
    return index < 0 ? undefined : this.#copies[index];
  }

  set(original: object, copy: object): void {
    if (this.#map !== null) {
      this.#map.set(original, copy);
      return;
    }
    append(this.#copies, copy);
    if (append(this.#originals, original) < FEW) return;
    this.#map = new Map();
    for (let i = 0; i < FEW; i++) this.#map.set(this.#originals[i]!, this.#copies[i]!);
  }
}

/** Deeper trees are graphs: cbor-x calls itself for every level. */
const MOST_LEVELS = 64;
/** Longer arrays of numbers only are cheaper as a typed array, which graphs use. */
export const MANY_NUMBERS = 256;

/**
 * The copy of `value` if it is plain, else null. A `fresh` array is known to hold only elements.
 */
export function copyPlain(value: object, copies: Copies, fresh: boolean): object | null {
  return fresh && Array.isArray(value) ? copyElements(value, copies, 0) : copy(value, copies, 0);
}

function copy(value: object, copies: Copies, levels: number): object | null {
  if (levels > MOST_LEVELS || copies.get(value) !== undefined) return null;
  if (Array.isArray(value)) {
    return elementsOf(value) === Elements.Stored ? copyElements(value, copies, levels) : null;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return null;
  const result: Record<string, unknown> = { ...value };
  copies.set(value, result);
  // cbor-x asks for the constructor; an own property of that name would mislead it.
  if (result.constructor !== Object) return null;
  const keys = Object.keys(result);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const child = result[key];
    // The prototype may refuse such a key where it is decoded.
    if (isInherited(key) || !isSound(key)) return null;
    if (typeof child === "object" && child !== null) {
      const inner = copy(child, copies, levels + 1);
      if (inner === null) return null;
      result[key] = inner;
    } else if (!isPlainScalar(child)) {
      return null;
    }
  }
  return result;
}

function copyElements(value: unknown[], copies: Copies, levels: number): object | null {
  const { length } = value;
  if (length >= MANY_NUMBERS && typeof value[0] === "number") return null;
  const result = value.slice();
  copies.set(value, result);
  for (let i = 0; i < length; i++) {
    const child = result[i];
    if (typeof child === "object" && child !== null) {
      const inner = copy(child, copies, levels + 1);
      if (inner === null) return null;
      result[i] = inner;
    } else if (!isPlainScalar(child) || (child === undefined && !Object.hasOwn(result, i))) {
      return null;
    }
  }
  return result;
}

/** Whether cbor-x carries a value exactly. */
export function isPlainScalar(value: unknown): boolean {
  switch (typeof value) {
    case "number":
      return value !== 0 || 1 / value > 0;
    case "string":
      return isSound(value);
    case "boolean":
    case "undefined":
      return true;
    default:
      return value === null;
  }
}

/** Whether a string survives UTF-8: lone surrogates do not, and decoders drop a leading U+FEFF. */
export function isSound(text: string): boolean {
  return text.length < OUT_OF_BAND_BYTES && text.isWellFormed() && text.charCodeAt(0) !== 0xfeff;
}
