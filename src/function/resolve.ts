import { dirname } from "node:path";
import { FunctionError } from "../errors.ts";
import { isError } from "../os/natives.ts";
import { registerInline } from "./lines.ts";
import type { FunctionReference } from "./record.ts";
import { registeredFunction, registeredNames } from "./registry.ts";
import { nameAmong } from "./exports.ts";
import { exportsOf, loadedPaths } from "./graph.ts";
import type { Evaluate } from "./loader.ts";
import { endOfMain, mainScript } from "./main-script.ts";
import { type ImportedName, importedNames, readText } from "./module-text.ts";
import { INLINE, plainPath, TEXT } from "./paths.ts";
import { loadExports, loadScope, type Scope, scopeOf, scopedModules } from "./scope.ts";
import { codeOf } from "./text.ts";

/**
 * On a worker: finds the function of a controller's reference; the other half of `reference.ts`.
 * Nothing here runs the function, but loading its module runs that module.
 */

type AnyFunction = (...args: unknown[]) => unknown;

/**
 * A function that was found, and whether it is a text evaluated here or the module's own. It
 * inherits nothing: a promise looks for a `then` on its result, and the program may have put one on
 * `Object.prototype`.
 */
export class Resolved {
  readonly fn: AnyFunction;
  /** The evaluated text, and its number in `lines.ts`; null for a function of the module. */
  readonly inline: { readonly text: string; readonly id: number } | null;

  constructor(fn: AnyFunction, inline: Resolved["inline"] = null) {
    this.fn = fn;
    this.inline = inline;
  }
}

/** The value of a text. It inherits nothing, for the same reason. */
class Evaluated {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

for (const { prototype } of [Resolved, Evaluated]) Object.setPrototypeOf(prototype, null);

/** Finds a function; rejects with a `FunctionError` that says what was looked for, and where. */
export async function resolveFunction(
  reference: FunctionReference,
  main: string,
): Promise<Resolved> {
  switch (reference.kind) {
    case "task":
      return await findTask(reference.name, main);
    case "export":
      return await findExport(reference.module, reference.name);
    case "source":
      return await findSource(reference);
    case "text":
      return await evaluateText(reference.text, main);
  }
}

async function findTask(name: string, main: string): Promise<Resolved> {
  if (registeredFunction(name) === undefined) await loadModule(main, `task "${name}"`);
  const fn = registeredFunction(name);
  if (fn !== undefined) return new Resolved(fn as AnyFunction);
  const known = registeredNames().join(", ") || "none";
  throw new FunctionError(
    `Cannot find task "${name}" on this worker: ${main} registers ${known}; ` +
      "call task() at the top level of a module that it imports",
  );
}

async function findExport(module: string, name: string): Promise<Resolved> {
  await loadModule(module, `"${name}"`);
  const value = readExport(module, name);
  if (typeof value === "function") return new Resolved(value as AnyFunction);
  throw new FunctionError(`Cannot find the export "${name}" of ${module} on this worker`);
}

async function findSource(
  reference: Extract<FunctionReference, { kind: "source" }>,
): Promise<Resolved> {
  const { modules, name, binding, text } = reference;
  for (const module of modules) {
    if (!module.startsWith("/")) continue;
    await loadModule(module, name === "" ? "an inline function" : `"${name}"`);
    const value = readExport(module, name) ?? readName(module, name);
    if (typeof value === "function" && String(value) === text) {
      return new Resolved(value as AnyFunction);
    }
    if (name === "") break; // an inline function has no name to be found by
  }
  if (binding?.module.startsWith("/")) {
    await loadModule(binding.module, `"${binding.name}"`);
    const value = readName(binding.module, binding.name);
    if (typeof value === "function" && value.name === name && String(value) === text) {
      return new Resolved(value as AnyFunction);
    }
  }
  const home = modules[0]!;
  const id = registerInline({ module: home, text, line: reference.line });
  const source = `${reference.expression}\n//# sourceURL=${encodeURI(home)}${INLINE}${id}`;
  const { value } = await evaluateIn(home, source, name || text);
  return new Resolved(value as AnyFunction, { text, id });
}

/** A text is looked up, or evaluated, among the main script's names and the globals. */
async function evaluateText(text: string, main: string): Promise<Resolved> {
  if (main.startsWith("/")) await loadModule(main, `"${text}"`);
  const byName = readExport(main, text) ?? readName(main, text);
  const source = sourceOf(text, main);
  const { value } =
    byName === undefined ? await evaluateIn(main, source, text) : new Evaluated(byName);
  return asFunction(value, text, main);
}

/** A text as an expression; `TEXT` tells its places in stacks from those of the main script. */
function sourceOf(text: string, main: string): string {
  return `(${text}\n)\n//# sourceURL=${encodeURI(main)}${TEXT}`;
}

/** The function that a text has yielded. */
function asFunction(value: unknown, text: string, main: string): Resolved {
  if (typeof value === "function" && !/^class\b/.test(Function.prototype.toString.call(value))) {
    return new Resolved(value as AnyFunction);
  }
  throw new FunctionError(
    `Cannot call "${text}": in ${main} it is ${Bun.inspect(value)}, not a function`,
  );
}

/**
 * What a text yields without another run of the main script: what that exports by this name, or
 * what it is among the globals; null where it may use other names of the main script.
 */
export function evaluateHere(text: string, main: string): Resolved | null {
  const byName = exportedOnWorker(main, text);
  if (typeof byName === "function") return asFunction(byName, text, main);
  const uses = wordsOf(codeOf(text));
  const isOfMain = (name: string) => uses.has(name);
  if (importsOf(main).some(({ local }) => isOfMain(local)) || declaresAny(main, isOfMain)) {
    return null;
  }
  try {
    return asFunction((0, eval)(`\n${sourceOf(text, main)}`), text, main);
  } catch (error) {
    throw error instanceof FunctionError ? error : refused(text, error);
  }
}

function declaresAny(module: string, isWanted: (name: string) => boolean): boolean {
  try {
    return declaredNames(module).some(isWanted);
  } catch {
    return false; // no file: the program was given as a text
  }
}

/**
 * Evaluates an expression among the names of a loaded module. `what`: its name in messages. It
 * begins in the second line: what may stand before it moves no columns.
 */
async function evaluateIn(module: string, source: string, what: string): Promise<Evaluated> {
  const scope = scopeOf(module);
  const evaluate = scope?.evaluate ?? ((source: string) => (0, eval)(source));
  const text = withoutMeta(source);
  const missing = new Map<string, unknown>();
  if (scope !== undefined) await addNamesOutOfReach(module, scope, text, missing);
  try {
    if (missing.size === 0) return new Evaluated(evaluate(`\n${text}`));
    const enclose = evaluate(`(${[...missing.keys()].join(",")})=>\n${text}`) as AnyFunction;
    return new Evaluated(enclose(...missing.values()));
  } catch (error) {
    throw refused(what, error);
  }
}

/**
 * Adds names of a module that a text uses but cannot evaluate there, with their values: imports
 * that nothing else uses, which the runtime leaves out; and every name, where only the exports are
 * within reach.
 */
async function addNamesOutOfReach(
  module: string,
  { evaluate, exports, reach }: Scope,
  text: string,
  found: Map<string, unknown>,
): Promise<void> {
  const imports = importsOf(module);
  if (reach === "names" && !imports.some(({ local }) => text.includes(local))) return;
  const uses = wordsOf(codeOf(text));
  for (const { local, imported, specifier } of imports) {
    if (!uses.has(local) || (reach === "names" && isThere(evaluate, local))) continue;
    const target = Bun.resolveSync(specifier, dirname(module));
    const namespace = await loadExports(target);
    if (imported === "*") found.set(local, namespace);
    else if (imported in namespace) found.set(local, namespace[imported]);
  }
  if (reach === "names") return;
  for (const name of Object.keys(exports)) if (uses.has(name)) found.set(name, exports[name]);
  const lacking = declaredNames(module).find((name) => uses.has(name) && !found.has(name));
  if (lacking === undefined) return;
  throw new FunctionError(
    `Cannot reach "${lacking}" of ${module} on this worker, where only what that exports is ` +
      "within reach: a plugin of the program gave its text, a preload has loaded it before, or " +
      `it is CommonJS and did not run to its end; export "${lacking}", or the function that ` +
      "uses it",
  );
}

const imports = new Map<string, readonly ImportedName[]>();

/** The names that a module imports, read once. */
export function importsOf(module: string): readonly ImportedName[] {
  let names = imports.get(module);
  if (names === undefined) {
    names = readImports(module);
    imports.set(module, names);
  }
  return names;
}

function readImports(module: string): readonly ImportedName[] {
  try {
    return importedNames(readText(module));
  } catch {
    return []; // no file: the program was given as a text
  }
}

/** Names that a module declares, and perhaps some that only its functions declare. */
function declaredNames(module: string): string[] {
  const declarations =
    /\b(?:const|let|var|function\*?|class|enum)\s+([\p{ID_Start}$_][\p{ID_Continue}$]*)/gu;
  return [...codeOf(readText(module)).matchAll(declarations)].map(([, name]) => name!);
}

function wordsOf(code: string): ReadonlySet<string> {
  return new Set(code.match(/(?<![.\w$])[\p{ID_Start}$_][\p{ID_Continue}$]*/gu));
}

export function isThere(evaluate: Evaluate, name: string): boolean {
  try {
    evaluate(name);
    return true;
  } catch (error) {
    // A name that exists and is not initialized yet gives another error.
    return !(
      error instanceof ReferenceError &&
      /^(Can't find variable|\S+ is not defined)/.test(error.message)
    );
  }
}

/**
 * `import.meta` may stand only in a module's own text; an evaluated text gets it by another name.
 */
function withoutMeta(text: string): string {
  if (!text.includes("import.meta")) return text;
  const code = codeOf(text);
  let result = "";
  let done = 0;
  for (const { 0: words, index } of code.matchAll(/(?<![.\w$])import\s*\.\s*meta\b/g)) {
    result += `${text.slice(done, index)}__bsync_meta`;
    done = index + words.length;
  }
  return result + text.slice(done);
}

function refused(what: string, error: unknown): FunctionError {
  if (error instanceof EvalError) {
    return new FunctionError(
      `Cannot call "${what}" on this worker: its text would have to be evaluated, and code ` +
        "generation from strings is forbidden here; export the function, or register it with " +
        "task()",
      { cause: error },
    );
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : Bun.inspect(error);
  return new FunctionError(`Cannot evaluate "${what}" on this worker: ${text}`, { cause: error });
}

async function loadModule(path: string, what: string): Promise<void> {
  try {
    await loadScope(path);
  } catch (error) {
    if (error instanceof FunctionError) throw error;
    const text = error instanceof Error ? `${error.name}: ${error.message}` : Bun.inspect(error);
    throw new FunctionError(
      `Cannot load the module of ${what} on this worker: ${path} threw ${text}`,
      { cause: error },
    );
  }
}

/** An export; undefined if it is not exported or not initialized yet. */
export function readExport(module: string, name: string): unknown {
  try {
    const exports = scopeOf(module)?.exports;
    return exports !== undefined && Object.hasOwn(exports, name) ? exports[name] : undefined;
  } catch {
    return undefined;
  }
}

/** The value of a top-level name; undefined if there is none, or it may not be evaluated. */
export function readName(module: string, name: string): unknown {
  if (!/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name)) return undefined;
  try {
    return scopeOf(module)?.evaluate(name);
  } catch {
    return undefined;
  }
}

/** Where a class is exported from, among the modules this worker has loaded. */
export function exporterOnWorker(value: Function): { module: string; name: string } | undefined {
  // A class may have a static property of its own in the place of its name, even a getter.
  const own: unknown = Object.getOwnPropertyDescriptor(value, "name")?.value;
  const name = typeof own === "string" ? own : "";
  for (const [module, { exports }] of scopedModules()) {
    // A minifier may have renamed the class: its export has another name.
    const exported = nameAmong(exports, value);
    if (exported !== undefined) return { module, name: exported };
    if (readName(module, name) === value) return { module, name };
  }
  for (const path of loadedPaths()) {
    const exports = exportsOf(path) as Record<string, unknown> | null | undefined;
    if (exports?.[name] === value) return { module: plainPath(path), name };
  }
  return undefined;
}

/** The class of this name in a module, if this worker has loaded that module. */
export function exportedOnWorker(module: string, name: string): unknown {
  return (
    readExport(module, name) ??
    readName(module, name) ??
    (exportsOf(module) as Record<string, unknown> | undefined)?.[name]
  );
}

/**
 * The variable that an evaluated function lacked. If it fails over an unknown name that its text
 * contains, the name is a variable of the enclosing function.
 */
export function missingVariable(error: unknown, text: string): string | null {
  // Not `instanceof`, which runs code of the value: anything may have been thrown.
  if (!isError(error) || !(error instanceof ReferenceError)) return null;
  const name =
    /^(?:Can't find variable: )?([\p{ID_Start}$_][\p{ID_Continue}$]*)(?: is not defined)?$/u.exec(
      error.message,
    )?.[1];
  if (name === undefined) return null;
  const quoted = name.replaceAll("$", "\\$");
  return new RegExp(`(?<![\\w$.])${quoted}(?![\\w$])`).test(text) ? name : null;
}

/**
 * The uninitialized name that a function used: a top-level name of the main script below
 * `AsyncPool.open`, or below the call at which a worker's run of it ends.
 */
export function unreachedVariable(error: unknown): string | null {
  if (endOfMain() === null || !isError(error) || !(error instanceof ReferenceError)) return null;
  // Not `error.message`, which may be a getter of the task.
  const message: unknown = Object.getOwnPropertyDescriptor(error, "message")?.value;
  if (typeof message !== "string") return null;
  const name = /^Cannot access '([\p{ID_Start}$_][\p{ID_Continue}$]*)' before/u.exec(message)?.[1];
  if (name === undefined) return null;
  try {
    scopeOf(mainScript())?.evaluate(name);
  } catch (again) {
    if (again instanceof ReferenceError && again.message === message) return name;
  }
  return null; // a name of the function, of another module, or one that must not be read
}
