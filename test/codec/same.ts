/** A strict comparer: types, prototypes, -0, holes, memory, and which objects are one. */
import types from "node:util/types";

/** Null if both are the same, else where they differ. */
export function difference(left: unknown, right: unknown): string | null {
  const partners = new Map<object, object>();
  const origins = new Map<object, object>();
  const due: [unknown, unknown, string][] = [[left, right, "value"]];
  for (let next = due.pop(); next !== undefined; next = due.pop()) {
    const [a, b, path] = next;
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) {
      if (!Object.is(a, b)) return `${path}: ${show(a)} and ${show(b)}`;
      continue;
    }
    if (partners.has(a) || origins.has(b)) {
      if (partners.get(a) !== b || origins.get(b) !== a) return `${path}: another identity`;
      continue;
    }
    partners.set(a, b);
    origins.set(b, a);
    const found = compareOwn(a, b, path, due);
    if (found !== null) return found;
  }
  return null;
}

type Due = [unknown, unknown, string][];

function compareOwn(a: object, b: object, path: string, due: Due): string | null {
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path}: another prototype`;
  const scalarsA = inner(a);
  const scalarsB = inner(b);
  if (scalarsA.length !== scalarsB.length) return `${path}: another kind`;
  for (let i = 0; i < scalarsA.length; i++) due.push([scalarsA[i], scalarsB[i], `${path}<${i}>`]);
  if (ArrayBuffer.isView(a) || types.isAnyArrayBuffer(a)) return null;
  const keysA = keysOf(a);
  const keysB = keysOf(b);
  if (keysA.join("\n") !== keysB.join("\n")) return `${path}: keys ${keysA} and ${keysB}`;
  for (const key of keysA) {
    const one = Object.getOwnPropertyDescriptor(a, key)!;
    const other = Object.getOwnPropertyDescriptor(b, key)!;
    if (one.enumerable !== other.enumerable) return `${path}.${key}: enumerable`;
    due.push([one.value, other.value, `${path}.${key}`]);
  }
  return null;
}

/** Own keys in order; of errors without what the engine adds when it feels like it. */
function keysOf(value: object): string[] {
  const keys = Object.getOwnPropertyNames(value);
  return types.isNativeError(value) ? keys.filter((key) => !ENGINES.has(key)).sort() : keys;
}

const ENGINES = new Set(["line", "column", "sourceURL", "originalLine", "originalColumn"]);

/** What no property shows. */
function inner(value: object): unknown[] {
  if (types.isDate(value)) return ["date", value.getTime()];
  if (types.isRegExp(value)) return ["regexp", value.source, value.flags];
  if (types.isMap(value)) return ["map", ...[...value].flat(1)];
  if (types.isSet(value)) return ["set", ...value];
  if (types.isBoxedPrimitive(value)) return ["boxed", value.valueOf()];
  if (types.isArrayBuffer(value)) {
    const max = value.resizable ? value.maxByteLength : -1;
    return ["buffer", value.byteLength, max, Buffer.from(value).toString("base64")];
  }
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return ["view", value.byteLength, bytes.toString("base64")];
  }
  if (types.isNativeError(value)) return ["error"];
  return [Array.isArray(value) ? "array" : "object"];
}

function show(value: unknown): string {
  return Bun.inspect(value).slice(0, 80);
}
