import { readFileSync } from "node:fs";
import { FunctionError } from "../errors.ts";
import {
  clearTimeout,
  isCompiled,
  isGiven,
  newPromise,
  Promise,
  setTimeout,
} from "../os/natives.ts";
import {
  type Evaluate,
  keyOf,
  loadCommonJs,
  loadModule,
  nameModule,
  prepareLoader,
  requireModule,
} from "./loader.ts";
import { takeNamespace } from "./evaluating.ts";
import { exportsOf } from "./graph.ts";
import {
  asNoMain,
  endOfMain,
  mainScript,
  mainText,
  modulesAtPools,
  runModule,
} from "./main-script.ts";
import { importedModules, isEsModule, readText } from "./module-text.ts";

/**
 * On a worker: the modules that were loaded for the functions in them, and what of them is within
 * reach.
 */
export interface Scope {
  /**
   * Evaluates an expression among the module's top-level names; among the globals alone, where
   * `reach` is "exports".
   */
  readonly evaluate: Evaluate;
  /**
   * The module's namespace, re-exports included; reading a name that is not initialized yet throws.
   */
  readonly exports: Readonly<Record<string, unknown>>;
  /** Whether the names at its top level are within reach, or what it exports alone. */
  readonly reach: "names" | "exports";
}

const scopes = new Map<string, Scope>();
const loading = new Map<string, Promise<void>>();

/** ms that a module may take to load: one that awaits for ever at its top level is of no use. */
const LOAD_MS = 60_000;

function takeOver(path: string, evaluate: Evaluate, exports: object): void {
  scopes.set(path, { evaluate, exports: exports as Scope["exports"], reach: "names" });
}

/** A text that uses no name of its module is as good anywhere. */
function evaluateGlobally(text: string): unknown {
  return (0, eval)(text);
}

/**
 * Loads a module once; resolves when it has run to its end, or to `AsyncPool.open`.
 * Rejects with what the module threw, now and at every later call.
 */
export function loadScope(path: string): Promise<void> {
  let promise = loading.get(path);
  if (promise === undefined) {
    promise = load(path);
    promise.catch(() => {}); // It is awaited by callers, if there are any.
    loading.set(path, promise);
  }
  return promise;
}

async function load(path: string): Promise<void> {
  if (isGiven(path) && mainText() === null) {
    // There is nothing to load, nor any name in it.
    scopes.set(path, { evaluate: evaluateGlobally, exports: {}, reach: "names" });
    return;
  }
  if (isCompiled()) {
    throw new FunctionError(
      `Cannot load ${path} for the functions in it: the program is compiled; ` +
        "register them with task() at its top level",
    );
  }
  await prepareLoader(takeOver);
  const main = mainScript();
  if (path !== main && (opensPools(main) || dependsOn(path, main))) {
    // As in the program itself: what it sets up is there for all others, and in a circle of
    // imports it is the first. One that fails keeps nobody from their functions.
    await loadScope(main).catch(() => {});
    const end = endOfMain();
    if (end !== null && !scopes.has(path) && dependsOn(path, main)) {
      throw new FunctionError(
        `Cannot load ${path} for the functions in it: it imports ${main}, which on a worker ` +
          `goes no further than ${end}; move what they share to a module of its own`,
      );
    }
    if (scopes.has(path) && dependsOn(path, main)) return;
  }
  await within(path, () => run(path));
  if (scopes.has(path)) return;
  scopes.set(path, { evaluate: evaluateGlobally, exports: exportsAt(path), reach: "exports" });
}

/**
 * Whether a main script has to do with pools itself, and so runs on workers as far as it opens one.
 * An application that knows nothing of those that a library opens is not to run again for it.
 */
function opensPools(main: string): boolean {
  try {
    return (mainText() ?? readText(main)).includes("AsyncPool");
  } catch {
    return false; // There is no such file.
  }
}

async function run(path: string): Promise<void> {
  if (nameModule(path, true)) await loadModule(keyOf(path));
  else if (isCommonJs(path)) loadCommonJs(path);
  else await loadModule(path);
}

/** What a module exports whose names did not come within reach; it may wait at its top level. */
function exportsAt(path: string): Scope["exports"] {
  const exports = exportsOf(path) ?? takeNamespace(path, requireModule);
  return typeof exports === "object" || typeof exports === "function" ? { ...exports } : {};
}

/** What a module exports that is loaded as any import of the program's would load it. */
export async function loadExports(path: string): Promise<Record<string, unknown>> {
  await prepareLoader(takeOver);
  nameModule(path);
  return await loadModule(path);
}

function isCommonJs(path: string): boolean {
  try {
    return !isEsModule(path, readFileSync(path, "utf8"));
  } catch {
    return false; // The import itself will say what is wrong.
  }
}

/** Runs a module until it has come to its end, or it, or one it imports, to a pool. */
async function within(path: string, run: () => Promise<void>): Promise<void> {
  const { promise, resolve, reject } = newPromise<void>();
  const timer = setTimeout(() => {
    const what = `Cannot load ${path} for the functions in it`;
    const why = `it was not done after ${LOAD_MS / 1000} s; what does its top level wait for?`;
    reject(new FunctionError(`${what}: ${why}`));
  }, LOAD_MS);
  timer.unref();
  const waitsFor = (module: string): boolean => module === path || dependsOn(path, module);
  // One that waits for ever has come as far as it will, and what imports it never runs.
  if ([...modulesAtPools()].some(waitsFor)) resolve();
  try {
    await runModule(
      () => Promise.race([run(), promise]),
      (module) => {
        if (waitsFor(module)) resolve();
      },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** The scope of a module that was loaded; undefined for one that was not, or that did not parse. */
export function scopeOf(path: string): Scope | undefined {
  return scopes.get(path);
}

/** Every module loaded so far, for finding the module of a class. */
export function scopedModules(): IterableIterator<[string, Scope]> {
  return scopes.entries();
}

/** Whether a module imports another before it runs itself, by whatever way. */
function dependsOn(path: string, other: string, seen = new Set<string>()): boolean {
  seen.add(path);
  for (const target of importedModules(path)) {
    if (target === other) return true;
    if (!seen.has(target) && !isPackage(target) && dependsOn(target, other, seen)) return true;
  }
  return false;
}

/** What is installed imports no program. */
function isPackage(path: string): boolean {
  return path.includes("/node_modules/");
}
