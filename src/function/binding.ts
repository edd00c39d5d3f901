import { existsSync } from "node:fs";
import type { Caller } from "./callers.ts";
import { mainScript, mainText } from "./main-script.ts";
import { readText } from "./module-text.ts";
import { codeOf } from "./text.ts";

/**
 * By which name a function was called, as in `pool.async(square, 3)`. A function that another one
 * has made, as in `const square = memo((x) => x * x)`, bears a name of its maker's, or none; on a
 * worker it is found by that of the constant. It has to stand in the very call that the stack
 * names, and can only be a constant of the module: several functions may have the same text.
 */

/**
 * At the place that the engine tells of a call of a method: that of its name, or in a bundle, whose
 * text runs as it is, of what follows that.
 */
const CALL =
  /(?:(?:async|map|starmap|each)\s*|(?<=\.\s*(?:async|map|starmap|each)\s*))\(\s*([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*[,)]/uy;

/** The name in the call that stands at a caller's place, if it is that of a constant; else "". */
export function bindingAt({ file, line, column }: Caller): string {
  const code = codeAt(file);
  CALL.lastIndex = startOfLine(code, line) + column - 1;
  const name = CALL.exec(code)?.[1] ?? "";
  return name !== "" && isConstant(code, name) ? name : "";
}

const codes = new Map<string, string>();

/** A file's code, read once; none of a module that was made at run time. */
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
 * Whether a name is declared as a constant, and nothing else bears it, as far as the text shows: no
 * variable that may change, and no variable or parameter of a function. Bundlers declare constants
 * by `var`: there it must not be assigned to.
 */
function isConstant(code: string, name: string): boolean {
  const word = `(?<![.\\w$])${name.replaceAll("$", "\\$")}(?![\\w$])`;
  if (count(code, `\\b(?:const|let|var|class|function\\*?)\\s+${word}`) > 1) return false;
  if (count(code, `\\blet\\s+${word}`) > 0) return false;
  // Its own declaration is the one assignment.
  if (count(code, `${word}\\s*(?:[-+*/%&|^?<>]{0,3}=(?![=>])|\\+\\+|--)`) > 1) return false;
  const parameter =
    `${word}\\s*=>|\\([^()]*${word}[^()]*\\)\\s*(?::[^={]*)?=>|` + `function[^()]*\\([^()]*${word}`;
  return count(code, parameter) === 0;
}

function count(code: string, pattern: string): number {
  return code.match(new RegExp(pattern, "g"))?.length ?? 0;
}
