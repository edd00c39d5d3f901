/**
 * Format 1: plain objects and arrays of scalars, each met once, as a copy that cbor-x can take as
 * it is. Whatever is not of the kind stops the scan, and the graph goes on from where it stood:
 * the copies are handed over, so that no getter runs twice.
 */
import { hasOnlyElements } from "./arrays.ts";
import { OUT_OF_BAND_BYTES } from "./types.ts";

/** Originals to their shallow copies; children that were scanned to the end are replaced. */
export type Copies = Map<object, object>;

/** Deeper trees are graphs: cbor-x calls itself for every level. */
const MOST_LEVELS = 64;
/** Longer arrays of nothing but numbers are better off as a typed array, which graphs do. */
export const MANY_NUMBERS = 256;

/** The copy of `value` if it is plain, else null. */
export function copyPlain(value: object, copies: Copies, levels = 0): object | null {
  if (levels > MOST_LEVELS || copies.has(value)) return null;
  if (Array.isArray(value)) return copyArray(value, copies, levels);
  if (Object.getPrototypeOf(value) !== Object.prototype) return null;
  const copy: Record<string, unknown> = { ...value };
  copies.set(value, copy);
  // cbor-x asks for the constructor; an own property of that name would mislead it.
  if (copy.constructor !== Object) return null;
  const keys = Object.keys(copy);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const child = copy[key];
    if (key === "__proto__" || !isSound(key)) return null;
    if (typeof child === "object" && child !== null) {
      const childCopy = copyPlain(child, copies, levels + 1);
      if (childCopy === null) return null;
      copy[key] = childCopy;
    } else if (!isPlainScalar(child)) {
      return null;
    }
  }
  return copy;
}

function copyArray(value: unknown[], copies: Copies, levels: number): object | null {
  if (!hasOnlyElements(value)) return null;
  const { length } = value;
  if (length >= MANY_NUMBERS && typeof value[0] === "number") return null;
  const copy = value.slice();
  copies.set(value, copy);
  for (let i = 0; i < length; i++) {
    const child = copy[i];
    if (typeof child === "object" && child !== null) {
      const childCopy = copyPlain(child, copies, levels + 1);
      if (childCopy === null) return null;
      copy[i] = childCopy;
    } else if (!isPlainScalar(child) || (child === undefined && !Object.hasOwn(copy, i))) {
      return null;
    }
  }
  return copy;
}

/** Whether cbor-x carries it exactly. */
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
