/** A task that uses the variable of a pool, as if it ran where that was opened. */
import { readFileSync } from "node:fs";
import { endOfMain, mainScript } from "../function/main-script.ts";
import { scopeOf } from "../function/scope.ts";
import { isError } from "../os/natives.ts";

/** A variable may be another name for another, at most so many times over. */
const MOST_NAMES = 3;

/**
 * Whether a variable of that name holds a pool: by the text of the main script, or by its name
 * alone.
 */
export function holdsPool(name: string): boolean {
  try {
    return saysPool(name, readFileSync(mainScript(), "utf8"), MOST_NAMES);
  } catch {
    // There is no such file: the program is a bundle that has moved, or compiled.
    return saysPool(name, "", 0);
  }
}

function saysPool(name: string, script: string, mostNames: number): boolean {
  if (/^(pool|asyncPool)$/i.test(name)) return true;
  const variable = `(?<![\\w$.])${name.replaceAll("$", "\\$")}`;
  const opened = "(\\s*:[^=;]*)?\\s*=\\s*await\\s+[\\w$.]*Pool\\.open\\(";
  if (RegExp(`${variable}(${opened}|\\s*:\\s*AsyncPool\\b)`).test(script)) return true;
  const other = RegExp(`${variable}\\s*=\\s*([\\w$]+)\\s*[;\\n]`).exec(script)?.[1];
  return other !== undefined && mostNames > 0 && saysPool(other, script, mostNames - 1);
}

/**
 * The main script's variable that is to hold a pool, and whose method was called before it does;
 * else null.
 */
export function unsetPool(error: unknown): string | null {
  if (endOfMain() === null || !isError(error) || !(error instanceof TypeError)) return null;
  // Not `error.message`, which may be the task's own getter.
  const message: unknown = Object.getOwnPropertyDescriptor(error, "message")?.value;
  if (typeof message !== "string") return null;
  const name = UNSET.exec(message)?.[1];
  try {
    const isUnset = name !== undefined && scopeOf(mainScript())?.evaluate(name) == null;
    return isUnset && holdsPool(name) ? name : null;
  } catch {
    return null; // It is a name within the function.
  }
}

const UNSET =
  /^(?:undefined|null) is not an object \(evaluating '([\p{ID_Start}$_][\p{ID_Continue}$]*)\.(?:async|with|each|close|terminate|size|workers)/u;

/** The advice on such a variable, after a name for the task. */
export function adviceOnPool(name: string): string {
  return (
    `it uses "${name}", a pool, which is there on the controller alone: a worker's run of ` +
    `${mainScript()} goes no further than ${endOfMain() ?? "AsyncPool.open"}; submit the calls ` +
    "from the controller, as with what the task returns, or let the task open a pool of its own"
  );
}
