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
import { INLINE, plainPath } from "./paths.ts";
import { loadExports, loadScope, type Scope, scopeOf, scopedModules } from "./scope.ts";
import { codeOf } from "./text.ts";

/**
 * On a worker: the function that a reference of the controller's stands for. The other half of
 * `reference.ts`. Nothing here runs the function; loading its module does run that module.
 */

type AnyFunction = (...args: unknown[]) => unknown;

/**
 * A function that was found, and whether it is a text evaluated here rather than the module's own.
 * It inherits nothing: a promise asks what it comes to for a `then`, which all objects may have
 * been given.
 */
export class Resolved {
  readonly fn: AnyFunction;
  /**
   * The text that was evaluated, and its number in `lines.ts`; null for a function of the module.
   */
  readonly inline: { readonly text: string; readonly id: number } | null;

  constructor(fn: AnyFunction, inline: Resolved["inline"] = null) {
    this.fn = fn;
    this.inline = inline;
  }
}

/** What a text came to. It inherits nothing, for the same reason. */
class Evaluated {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

for (const { prototype } of [Resolved, Evaluated]) Object.setPrototypeOf(prototype, null);

/** Finds a function; rejects with `FunctionError` that says what was looked for, and where. */
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

/** A text stands for whatever it yields among the main script's names, and the globals. */
async function evaluateText(text: string, main: string): Promise<Resolved> {
  if (main.startsWith("/")) await loadModule(main, `"${text}"`);
  const byName = readExport(main, text) ?? readName(main, text);
  const { value } =
    byName === undefined ? await evaluateIn(main, `(${text}\n)`, text) : new Evaluated(byName);
  if (typeof value === "function" && !/^class\b/.test(Function.prototype.toString.call(value))) {
    return new Resolved(value as AnyFunction);
  }
  throw new FunctionError(
    `Cannot call "${text}": in ${main} it is ${Bun.inspect(value)}, not a function`,
  );
}

/**
 * Evaluates an expression among the names of a module that was loaded. `what` it stands for, in
 * messages.
 */
async function evaluateIn(module: string, source: string, what: string): Promise<Evaluated> {
  const scope = scopeOf(module);
  const evaluate = scope?.evaluate ?? ((source: string) => (0, eval)(source));
  const text = withoutMeta(source);
  const missing = new Map<string, unknown>();
  if (scope !== undefined) await addNamesOutOfReach(module, scope, text, missing);
  try {
    if (missing.size === 0) return new Evaluated(evaluate(text));
    const enclose = evaluate(`(${[...missing.keys()].join(",")})=>${text}`) as AnyFunction;
    return new Evaluated(enclose(...missing.values()));
  } catch (error) {
    throw refused(what, error);
  }
}

/**
 * Adds the names of a module that a text uses and that cannot be evaluated there, with what they
 * stand for: imports that nothing else uses, which the runtime leaves out; and all there are, where
 * what it exports alone is within reach.
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

/** What a module imports, found out once. */
function importsOf(module: string): readonly ImportedName[] {
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
    return []; // There is no such file: a program that was given as a text.
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

function isThere(evaluate: Evaluate, name: string): boolean {
  try {
    evaluate(name);
    return true;
  } catch (error) {
    // One that is there and not initialized yet says so.
    return !(
      error instanceof ReferenceError &&
      /^(Can't find variable|\S+ is not defined)/.test(error.message)
    );
  }
}

/**
 * `import.meta` may stand in a module's own text only; an evaluated one has it under another name.
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

/** An export, or undefined for what is not exported or not initialized yet. */
function readExport(module: string, name: string): unknown {
  try {
    const exports = scopeOf(module)?.exports;
    return exports !== undefined && Object.hasOwn(exports, name) ? exports[name] : undefined;
  } catch {
    return undefined;
  }
}

/** A top-level name, or undefined for what is none, or may not be evaluated. */
function readName(module: string, name: string): unknown {
  if (!/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name)) return undefined;
  try {
    return scopeOf(module)?.evaluate(name);
  } catch {
    return undefined;
  }
}

/** Where a class is exported from, among the modules this worker has loaded. */
export function exporterOnWorker(value: unknown): { module: string; name: string } | undefined {
  const name = (value as { name?: unknown }).name;
  if (typeof name !== "string") return undefined;
  for (const [module, { exports }] of scopedModules()) {
    // A minifier has given it another name than it is exported by.
    const exported = nameAmong(exports, value as Function);
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
 * What an evaluated function lacked: when it fails over a name that is nowhere to be found, and
 * that stands in its text, that is a variable of the function it was written in.
 */
export function missingVariable(error: unknown, text: string): string | null {
  // Not `instanceof`, which asks the value: what was thrown may be anything.
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
 * What a function found not initialized: a top-level name of the main script that stands below
 * `AsyncPool.open`, or whatever call a worker's run of it goes no further than.
 */
export function unreachedVariable(error: unknown): string | null {
  if (endOfMain() === null || !isError(error) || !(error instanceof ReferenceError)) return null;
  // Not `error.message`, which may be the task's own getter.
  const message: unknown = Object.getOwnPropertyDescriptor(error, "message")?.value;
  if (typeof message !== "string") return null;
  const name = /^Cannot access '([\p{ID_Start}$_][\p{ID_Continue}$]*)' before/u.exec(message)?.[1];
  if (name === undefined) return null;
  try {
    scopeOf(mainScript())?.evaluate(name);
  } catch (again) {
    if (again instanceof ReferenceError && again.message === message) return name;
  }
  return null; // a name within the function, of another module, or one that nobody may look for
}
