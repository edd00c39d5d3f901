/**
 * Texts that may hold any bytes, as names of files do. A byte that is no UTF-8 is a lone surrogate
 * in them, from U+DC80 on, as in Python: so it survives all that is done to the text.
 */
import { readFileSync } from "node:fs";

const FIRST = 0xdc00;

/** Such a byte. In this mode of expressions surrogates of a pair are none. */
const ODD = /[\udc80-\udcff]/u;
const ALL_ODD = /([\udc80-\udcff]+)/u;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Whether a text has bytes that are no UTF-8. */
export function isOdd(text: string): boolean {
  return ODD.test(text);
}

export function textOfBytes(bytes: Uint8Array): string {
  return decoded(bytes) ?? [...piecesOf(bytes)].join("");
}

function decoded(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes);
  } catch {
    return null;
  }
}

/** Letter by letter, once something in it is no UTF-8. */
function* piecesOf(bytes: Uint8Array): Generator<string> {
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at]!;
    const length = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    const letter = decoded(bytes.subarray(at, at + length));
    yield letter ?? String.fromCharCode(FIRST + byte);
    at += letter === null ? 1 : length;
  }
}

export function bytesOfText(text: string): Uint8Array {
  if (!isOdd(text)) return encoder.encode(text);
  const parts = text
    .split(ALL_ODD)
    .map((part, i) => (i % 2 === 0 ? encoder.encode(part) : raw(part)));
  return Buffer.concat(parts);
}

function raw(part: string): Uint8Array {
  return Uint8Array.from(part, (letter) => letter.charCodeAt(0) - FIRST);
}

/** Names below one another. The runtime's own function would change such bytes. */
export function joined(first: string, ...others: readonly string[]): string {
  return [first.replace(/\/+$/, ""), ...others].join("/");
}

/** A name for calls of the file system. */
export function asPath(text: string): string | Buffer {
  return isOdd(text) ? Buffer.from(bytesOfText(text)) : text;
}

/** What the runtime puts in the place of such bytes in the words of a command line. */
const REPLACED = "\ufffd";

/** The last words of this process's command line as they were given. */
export function rawWords(words: readonly string[]): readonly string[] {
  if (words.length === 0 || !words.some((word) => word.includes(REPLACED))) return words;
  try {
    const all = textOfBytes(readFileSync("/proc/self/cmdline")).split("\0").slice(0, -1);
    return all.slice(-words.length);
  } catch {
    return words;
  }
}

/** A command line for a POSIX shell that is the same as another, and has no such bytes. */
export function evenLine(line: string): string {
  const escaped = Array.from(bytesOfText(line), (byte) =>
    /\w/.test(String.fromCharCode(byte)) && byte < 0x80
      ? String.fromCharCode(byte)
      : `\\${byte.toString(8).padStart(3, "0")}`,
  );
  return `eval "$(printf '${escaped.join("")}')"`;
}
