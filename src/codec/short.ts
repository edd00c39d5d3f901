/** Values in a few letters, for people to read. No code of the values' own is run. */
import types from "node:util/types";
import { JSON } from "../os/natives.ts";

/** Letters of one text, and elements of one list. */
const MOST_LETTERS = 32;
const MOST_ITEMS = 4;
const MOST_LEVELS = 2;
/** Letters of all arguments. */
const MOST = 120;

/** The arguments of a call, as in `"a.png", 320, Float64Array(1000)`. */
export function shortArguments(args: readonly unknown[]): string {
  const parts: string[] = [];
  let room = MOST;
  for (const arg of args) {
    const part = short(arg, 0);
    room -= part.length + 2;
    if (room < 0 && parts.length > 0) {
      parts.push(`… ${args.length - parts.length} more`);
      break;
    }
    parts.push(cut(part, MOST));
  }
  return parts.join(", ");
}

function short(value: unknown, level: number): string {
  switch (typeof value) {
    case "string":
      return quoted(value);
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return cut(`${value}n`, MOST_LETTERS);
    case "function":
      return cut(oneLine(value.name), MOST_LETTERS) || "(anonymous)";
    case "object":
      return value === null ? "null" : shortObject(value, level);
    default:
      return String(value);
  }
}

function shortObject(value: object, level: number): string {
  if (Array.isArray(value)) return shortList(value, level);
  if (Buffer.isBuffer(value)) return `Buffer(${value.length})`;
  if (ArrayBuffer.isView(value)) {
    const count = "length" in value ? value.length : value.byteLength;
    return `${value[Symbol.toStringTag as never] as string}(${String(count)})`;
  }
  if (types.isAnyArrayBuffer(value)) return `ArrayBuffer(${value.byteLength})`;
  if (types.isDate(value)) return isNaN(value.getTime()) ? "Date(NaN)" : value.toISOString();
  if (types.isRegExp(value)) return cut(oneLine(String(value)), MOST_LETTERS);
  if (types.isMap(value)) return `Map(${value.size})`;
  if (types.isSet(value)) return `Set(${value.size})`;
  if (types.isBoxedPrimitive(value)) return short(value.valueOf(), level);
  if (types.isNativeError(value)) {
    return `${cut(oneLine(value.name), MOST_LETTERS)}: ${quoted(value.message)}`;
  }
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype !== Object.prototype && prototype !== null) return value.constructor.name;
  return shortProperties(value as Record<string, unknown>, level);
}

function shortList(list: readonly unknown[], level: number): string {
  if (list.length === 0) return "[]";
  if (level === MOST_LEVELS) return `Array(${list.length})`;
  const items = list.slice(0, MOST_ITEMS).map((item) => short(item, level + 1));
  const rest = list.length - items.length;
  return `[${items.join(", ")}${rest > 0 ? `, … ${rest} more` : ""}]`;
}

function shortProperties(value: Record<string, unknown>, level: number): string {
  const keys = Object.keys(value);
  if (keys.length === 0) return "{}";
  if (level === MOST_LEVELS) return "{…}";
  const parts = keys.slice(0, MOST_ITEMS).map((key) => {
    const name = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? key : quoted(key);
    return `${name}: ${short(value[key], level + 1)}`;
  });
  const rest = keys.length - parts.length;
  return `{ ${parts.join(", ")}${rest > 0 ? `, … ${rest} more` : ""} }`;
}

/** Quotes a text; of a long one the middle is left out, for paths differ at their end. */
function quoted(text: string): string {
  const shown =
    text.length <= MOST_LETTERS
      ? text
      : `${text.slice(0, MOST_LETTERS / 2)}…${text.slice(-MOST_LETTERS / 2)}`;
  return JSON.stringify(shown.toWellFormed()).replace(
    UNSEEN,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** What JSON leaves as it is, though it ends lines, turns them round, or controls a terminal. */
const UNSEEN = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** In one line, without characters that control a terminal. */
export function oneLine(text: string): string {
  return text
    .replace(/[\s\p{Cc}\p{Bidi_Control}]+/gu, " ")
    .toWellFormed()
    .trim();
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
