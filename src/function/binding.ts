import { existsSync } from "node:fs";
import type { Caller } from "./callers.ts";
import { readText } from "./module-text.ts";
import { codeOf } from "./text.ts";

/**
 * By which name a function was called, as in `pool.async(square, 3)`. A function that another one
 * has made, as in `const square = memo((x) => x * x)`, bears a name of its maker's, or none; on a
 * worker it is found by that of the constant. A worker takes what it finds there for the function
 * only if it has its text.
 */

const CALL =
  /\.\s*(?:async|map|starmap|each)\s*\(\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*[,)]/gu;
/** How far a call goes on behind the line that it begins in. */
const CALL_CHARS = 200;

/**
 * The name in the call that stands at a caller's place, if it can only be one of the module's own.
 */
export function bindingAt({ file, line, column }: Caller): string {
  const code = codeAt(file);
  const start = startOfLine(code, line);
  const end = code.indexOf("\n", start);
  const region = code.slice(start, (end < 0 ? code.length : end) + CALL_CHARS);
  let nearest = { name: "", distance: Infinity };
  for (const { 1: name = "", index } of region.matchAll(CALL)) {
    const distance = Math.abs(index - column);
    if (distance < nearest.distance) nearest = { name, distance };
  }
  return nearest.name !== "" && isBoundOnce(code, nearest.name) ? nearest.name : "";
}

const codes = new Map<string, string>();

/** A file's code, read once; none of a module that was made at run time. */
function codeAt(file: string): string {
  let code = codes.get(file);
  if (code === undefined) {
    code = existsSync(file) ? codeOf(readText(file)) : "";
    codes.set(file, code);
  }
  return code;
}

function startOfLine(code: string, line: number): number {
  let at = 0;
  for (let i = 1; i < line; i++) {
    const next = code.indexOf("\n", at);
    if (next < 0) return at;
    at = next + 1;
  }
  return at;
}

/**
 * Whether no function has a parameter or a second variable of that name, as far as the text shows.
 */
function isBoundOnce(code: string, name: string): boolean {
  const word = `(?<![.\\w$])${name.replaceAll("$", "\\$")}(?![\\w$])`;
  const declared = new RegExp(`\\b(?:const|let|var|function\\*?)\\s+${word}`, "g");
  if ((code.match(declared)?.length ?? 0) > 1) return false;
  const parameter = new RegExp(
    `${word}\\s*=>|\\([^()]*${word}[^()]*\\)\\s*(?::[^={]*)?=>|function[^()]*\\([^()]*${word}`,
  );
  return !parameter.test(code);
}
