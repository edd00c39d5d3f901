import { existsSync } from "node:fs";
import type { Caller } from "./callers.ts";
import { mainScript, mainText } from "./main-script.ts";
import { readText } from "./module-text.ts";
import { codeOf } from "./text.ts";

/**
 * The name by which a function was called, as in `pool.async(square, 3)`. A function that another
 * function has made, as in `const square = memo((x) => x * x)`, has its maker's name for it, or
 * none; a worker finds it by the name of the constant. The name has to stand in the very call that
 * the stack shows. It has to be a constant of the module: several functions may have the same text.
 */

/**
 * Matches where the engine places a method call: at the method's name or, in a bundle, whose text
 * runs as it is, at the text after the name.
 */
const CALL =
  /(?:(?:async|map|starmap|each)\s*|(?<=\.\s*(?:async|map|starmap|each)\s*))\(\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*[,)]/uy;

/** The name in the call at a caller's place if it is a constant's name, else "". */
export function bindingAt({ file, line, column }: Caller): string {
  const code = codeAt(file);
  CALL.lastIndex = startOfLine(code, line) + column - 1;
  const name = CALL.exec(code)?.[1] ?? "";
  return name !== "" && isConstant(code, name) ? name : "";
}

const codes = new Map<string, string>();

/** A file's code, read once; "" for a module that was made at run time. */
function codeAt(file: string): string {
  let code = codes.get(file);
  if (code === undefined) {
    const given = file === mainScript() ? mainText() : null;
    code = given === null && !existsSync(file) ? "" : codeOf(given ?? readText(file));
    codes.set(file, code);
  }
  return code;
}

function startOfLine(code: string, line: number): number {
  let at = 0;
  for (let i = 1; i < line; i++) {
    const next = code.indexOf("\n", at);
    if (next < 0) return code.length;
    at = next + 1;
  }
  return at;
}

/**
 * Whether a name is declared as a constant and, as far as the text shows, nothing else has that
 * name: no variable that may change, no variable or parameter of a function. Bundlers declare
 * constants by `var`: a `var` must not be assigned to.
 */
function isConstant(code: string, name: string): boolean {
  const word = `(?<![.\\w$])${name.replaceAll("$", "\\$")}(?![\\w$])`;
  if (count(code, `\\b(?:const|let|var|class|function\\*?)\\s+${word}`) > 1) return false;
  if (count(code, `\\blet\\s+${word}`) > 0) return false;
  // The declaration is the one assignment.
  if (count(code, `${word}\\s*(?:[-+*/%&|^?<>]{0,3}=(?![=>])|\\+\\+|--)`) > 1) return false;
  const parameter =
    `${word}\\s*=>|\\([^()]*${word}[^()]*\\)\\s*(?::[^={]*)?=>|` + `function[^()]*\\([^()]*${word}`;
  return count(code, parameter) === 0;
}

function count(code: string, pattern: string): number {
  return code.match(new RegExp(pattern, "g"))?.length ?? 0;
}
