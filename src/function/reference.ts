import { readFileSync } from "node:fs";
import { FunctionError } from "../errors.ts";
import { Recent } from "../collections/recent.ts";
import { type FunctionRecord, type FunctionReference, textWeight } from "./record.ts";
import { registeredName } from "./registry.ts";
import { bindingAt } from "./binding.ts";
import { type Caller, callers } from "./callers.ts";
import { exportsOfEvaluating } from "./evaluating.ts";
import { type Export, findExport, mayExport, nameAmong } from "./exports.ts";
import { loadedPaths } from "./graph.ts";
import { mainScript } from "./main-script.ts";
import { isOwnFile, plainPath } from "./paths.ts";
import { codeOf } from "./text.ts";

/** How a function is named to a worker; see `record.ts`. `resolve.ts` finds it there. */

type AnyFunction = (...args: never[]) => unknown;

const byFunction = new WeakMap<AnyFunction, FunctionRecord>();

/** Limits the texts that are remembered: a program may make as many as it has inputs. */
const RECENT_TEXTS = 4096;

const byText = new Recent<string, FunctionRecord>(RECENT_TEXTS, textWeight);
/** No number is given twice: a forgotten text gets a new one when it comes again. */
let count = 0;

function keepText(key: string, record: FunctionRecord): void {
  if (byText.isFull) byText.turn();
  byText.set(key, record);
}

/**
 * The record of a function, or of a text that yields one. Throws `FunctionError` for one that
 * cannot travel: native, bound, a class, a method that needs `this`, a text that does not parse.
 */
export function recordOf(fn: AnyFunction | string): FunctionRecord {
  if (typeof fn === "string") return recordOfText(fn);
  if (typeof fn !== "function") {
    throw new FunctionError(
      `Cannot call ${Bun.inspect(fn)}: expected a function, or a text that yields one`,
    );
  }
  let record = byFunction.get(fn);
  if (record === undefined) {
    record = describe(fn);
    byFunction.set(fn, record);
  }
  return record;
}

function recordOfText(text: string): FunctionRecord {
  const key = `text\0${text}`;
  let record = byText.get(key);
  if (record === undefined) {
    const error = syntaxError(text);
    if (error !== null) {
      throw new FunctionError(`Cannot call "${shorten(text)}": it does not parse (${error})`);
    }
    record = newRecord(shorten(text), { kind: "text", text });
    keepText(key, record);
  }
  return record;
}

function describe(fn: AnyFunction): FunctionRecord {
  const registered = registeredName(fn);
  if (registered !== undefined) return newRecord(registered, { kind: "task", name: registered });
  const text = Function.prototype.toString.call(fn);
  refuseWhatCannotTravel(fn, text);
  const frames = callers();
  const found = findExport(fn) ?? findInEvaluating(fn, frames);
  if (found !== undefined) return newRecord(fn.name || found.name, { kind: "export", ...found });

  const { modules, line, binding } = modulesInSight(text, frames);
  const key = `${modules[0]}\0${line}\0${binding?.name}\0${text}`;
  let record = byText.get(key);
  if (record === undefined) {
    const expression = asExpression(fn, text);
    const { name } = fn;
    const reference = { kind: "source", modules, name, binding, text, expression, line } as const;
    record = newRecord(name || shorten(text), reference);
    keepText(key, record);
  }
  return record;
}

/** For messages: the name of a function; throws as `recordOf` does for one that cannot travel. */
export function labelOf(fn: AnyFunction): string {
  const registered = registeredName(fn);
  if (registered !== undefined) return registered;
  const text = Function.prototype.toString.call(fn);
  refuseWhatCannotTravel(fn, text);
  asExpression(fn, text);
  return fn.name || shorten(text);
}

/** For tests: functions named from now on get numbers above `number`. */
export function countFunctionsFrom(number: number): void {
  count = Math.max(count, number);
}

/** Gives a function a number of its own. */
export function newRecord(label: string, reference: FunctionReference): FunctionRecord {
  return { id: ++count, label, reference };
}

function refuseWhatCannotTravel(fn: AnyFunction, text: string): void {
  const name = fn.name || shorten(text);
  if (fn.name.startsWith("bound ")) {
    throw new FunctionError(
      `Cannot send "${name}" to a worker: it is bound to values of this process; ` +
        "pass a plain function, and those values as arguments",
    );
  }
  if (/\{\s*\[native code\]\s*\}\s*$/.test(text)) {
    throw new FunctionError(
      `Cannot send "${name}" to a worker: it is native; call it by a text, as in ` +
        `pool.async("Math.hypot", 3, 4), or from a function of your own`,
    );
  }
  if (/^class\b/.test(text)) {
    throw new FunctionError(
      `Cannot call the class "${name}" on a worker: pass a function that makes and uses an ` +
        "instance",
    );
  }
}

/** An expression for a function's text, which may be the text of a method. */
function asExpression(fn: AnyFunction, text: string): string {
  const code = codeOf(text);
  if (syntaxError(text) === null) {
    if (/=>/.test(code) && !/^(async\s+)?function\b/.test(code) && usesThis(code)) {
      throw new FunctionError(
        `Cannot send "${fn.name || shorten(text)}" to a worker: it uses \`this\` of the ` +
          "place where it " +
          "was written; pass what it needs as an argument",
      );
    }
    return `(${text}\n)`;
  }
  if (usesThis(code.slice(code.indexOf("{") + 1))) {
    throw new FunctionError(
      `Cannot send the method "${fn.name}" to a worker: it needs \`this\`; ` +
        "pass a function that takes the object as an argument",
    );
  }
  const method = `({${text}\n})`;
  if (syntaxError(method) !== null) {
    throw new FunctionError(
      /(?<![\w$])#[\p{ID_Start}$_]/u.test(code)
        ? `Cannot send "${fn.name}" to a worker: it uses private names of its class; pass a ` +
            "function that calls it"
        : `Cannot send "${fn.name}" to a worker: its text is no expression; pass a plain function`,
    );
  }
  return `((o) => Object.getOwnPropertyDescriptor(o, Reflect.ownKeys(o)[0]).value)(${method})`;
}

const parser = new Bun.Transpiler({ loader: "js" });

/** Why a text is no expression; null if it is one. */
function syntaxError(text: string): string | null {
  if (text.trim() === "") return "it is empty";
  try {
    // In two kinds of brackets: a text that closes one kind early does not fit the other.
    parser.transformSync(`void (${text}\n);`);
    parser.transformSync(`void [(${text}\n)];`);
    return null;
  } catch (error) {
    const first = error instanceof AggregateError ? error.errors[0] : error;
    return String((first as Error).message ?? first);
  }
}

/**
 * Whether a function's code uses a `this` or `super` from outside, not from a function, class or
 * method within it. In doubt false: then it fails when it is called, as it would anywhere.
 */
function usesThis(code: string): boolean {
  if (!/(?<![.\w$])(this|super)\b/.test(code)) return false;
  if (/(?<![.\w$])(function|class)\b/.test(code)) return false;
  const methods = code.replace(/\b(if|for|while|switch|catch|with)\s*\(/g, "(");
  return !/[\w$\])]\s*\([^()]*\)\s*\{/.test(methods);
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 60 ? `${line.slice(0, 57)}...` : line;
}

/** Where a module that is still being evaluated exports it, as a main script that awaits. */
function findInEvaluating(fn: AnyFunction, frames: readonly Caller[]): Export | undefined {
  for (const module of new Set([mainScript(), ...frames.map(({ module }) => module)])) {
    const name = mayExport(module) ? nameAmong(exportsOfEvaluating(module), fn) : undefined;
    if (name !== undefined) return { module, name };
  }
  return undefined;
}

/**
 * The modules whose names a function may use, the likeliest first: the one that calls `async`, then
 * the main script. Engines drop the frame of a function that returns another's call, so the
 * caller's frame may be missing: then a module with the function's text goes first.
 */
function modulesInSight(
  text: string,
  frames: readonly Caller[],
): Pick<Extract<FunctionReference, { kind: "source" }>, "modules" | "line" | "binding"> {
  const modules = [...new Set([...frames.map(({ module }) => module), mainScript()])];
  const wanted = squeeze(text);
  const holder = modules.find((path) => holds(path, wanted)) ?? onlyHolder(text, wanted);
  const home = holder ?? modules[0] ?? mainScript();
  const line = frames.find(({ module }) => module === home)?.line ?? 1;
  const [caller] = frames;
  const called = caller === undefined ? "" : bindingAt(caller);
  const binding = called === "" ? null : { module: caller!.module, name: called };
  return { modules: [...new Set([home, mainScript()])], line, binding };
}

/** The loaded module that has a function's text; undefined if none has. */
function onlyHolder(text: string, wanted: string): string | undefined {
  const paths = loadedPaths().filter((path) => !path.includes("/node_modules/"));
  const own = paths.map(plainPath).filter((path) => path.startsWith("/") && !isOwnFile(path));
  const holders = [...new Set(own)].filter((path) => holds(path, wanted));
  const [first, second] = holders;
  const names = new Set(text.match(/[\p{ID_Start}$_][\p{ID_Continue}$]*/gu));
  const matters = (path: string) => namesOf(path).some((name) => names.has(name));
  // A function that uses no name of its module fits each of them.
  if (second === undefined || !holders.some(matters)) return first;
  throw new FunctionError(
    `Cannot tell which module the function ${shorten(text)} belongs to: its text stands in ` +
      `${first} and in ${second}; give it a name at the top level of its module, or export it`,
  );
}

const printed = new Map<string, { readonly squeezed: string; readonly names: readonly string[] }>();

/** Whether a module's text, as it runs, contains a function's text, white space ignored. */
function holds(path: string, wanted: string): boolean {
  return print(path).squeezed.includes(wanted);
}

/** The names a module declares or imports, and perhaps some that only its functions declare. */
function namesOf(path: string): readonly string[] {
  return print(path).names;
}

function print(path: string): { readonly squeezed: string; readonly names: readonly string[] } {
  let result = printed.get(path);
  if (result === undefined) {
    let text = "";
    try {
      const loader = path.endsWith("x") ? "tsx" : "ts";
      const transpiler = new Bun.Transpiler({ loader, target: "bun" });
      text = transpiler.transformSync(readFileSync(path, "utf8"));
    } catch {
      // A module that cannot be read holds nothing.
    }
    const declared = text.matchAll(/\b(?:const|let|var|function\*?|class)\s+([\w$]+)/g);
    const imported = text.matchAll(/^import\b([^"']*)/gm);
    const names = [...imported].flatMap(([, clause]) => clause!.match(/[\w$]+/g) ?? []);
    for (const [, name] of declared) names.push(name!);
    result = { squeezed: squeeze(text), names };
    printed.set(path, result);
  }
  return result;
}

function squeeze(text: string): string {
  return text.replace(/[\s;]+/g, "");
}
