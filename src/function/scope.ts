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
import { isOwnFile } from "./paths.ts";

/** On a worker: the modules loaded for their functions, and what is within reach in each. */
export interface Scope {
  /**
   * Evaluates an expression among the module's top-level names; only among the globals if `reach`
   * is "exports".
   */
  readonly evaluate: Evaluate;
  /**
   * The module's namespace, re-exports included; reading a name that is not initialized yet throws.
   */
  readonly exports: Readonly<Record<string, unknown>>;
  /** Whether its top-level names are within reach, or only its exports. */
  readonly reach: "names" | "exports";
}

const scopes = new Map<string, Scope>();
const loading = new Map<string, Promise<void>>();

/** ms that a module may take to load: its top level may await for ever. */
const LOAD_MS = 60_000;

function takeOver(path: string, evaluate: Evaluate, exports: object): void {
  scopes.set(path, { evaluate, exports: exports as Scope["exports"], reach: "names" });
}

/** Enough for a text that uses no name of its module. */
function evaluateGlobally(text: string): unknown {
  return (0, eval)(text);
}

/**
 * Loads a module once; resolves when it has run to its end, or to `AsyncPool.open`. Rejects with
 * the module's error, now and at every later call.
 */
export function loadScope(path: string): Promise<void> {
  let promise = loading.get(path);
  if (promise === undefined) {
    promise = load(path);
    promise.catch(() => {}); // Callers await it, if there are any.
    loading.set(path, promise);
  }
  return promise;
}

async function load(path: string): Promise<void> {
  if (isGiven(path) && mainText() === null) {
    // Nothing to load, and no names.
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
    // The main script goes first, as in the program itself: others find what it sets up, and in a
    // circle of imports it is the first. If it fails, functions of other modules still load.
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
 * Whether a main script uses pools itself, and so runs on workers until it opens one. An
 * application whose library opens pools without its knowledge must not run again.
 */
function opensPools(main: string): boolean {
  try {
    return (mainText() ?? readText(main)).includes("AsyncPool");
  } catch {
    return false; // no such file
  }
}

async function run(path: string): Promise<void> {
  if (nameModule(path, true)) await loadModule(keyOf(path));
  else if (isCommonJs(path)) loadCommonJs(path);
  else await loadModule(path);
}

/** The exports of a module whose names are not within reach; it may wait at its top level. */
function exportsAt(path: string): Scope["exports"] {
  const exports = exportsOf(path) ?? takeNamespace(path, requireModule);
  return typeof exports === "object" || typeof exports === "function" ? { ...exports } : {};
}

/** The exports of a module, loaded as an import of the program would load it. */
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

/** Runs a module until its end, or until it, or a module it imports, comes to a pool. */
async function within(path: string, run: () => Promise<void>): Promise<void> {
  const { promise, resolve, reject } = newPromise<void>();
  const timer = setTimeout(() => {
    const what = `Cannot load ${path} for the functions in it`;
    const why = `it was not done after ${LOAD_MS / 1000} s; what does its top level wait for?`;
    reject(new FunctionError(`${what}: ${why}`));
  }, LOAD_MS);
  timer.unref();
  const waitsFor = (module: string): boolean => module === path || dependsOn(path, module);
  // A module that waits for ever gets no further, and its importers never run.
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

/** The scope of a loaded module; undefined if it was not loaded or did not parse. */
export function scopeOf(path: string): Scope | undefined {
  return scopes.get(path);
}

/** All modules loaded so far, to find the module of a class. */
export function scopedModules(): IterableIterator<[string, Scope]> {
  return scopes.entries();
}

/** Whether a module imports another before it runs, directly or indirectly. */
function dependsOn(path: string, other: string, seen = new Set<string>()): boolean {
  seen.add(path);
  for (const target of importedModules(path)) {
    if (target === other) return true;
    if (!seen.has(target) && !importsNoProgram(target) && dependsOn(target, other, seen)) {
      return true;
    }
  }
  return false;
}

/** Installed packages import no program, and bsync itself does not: its graph is not read. */
function importsNoProgram(path: string): boolean {
  return path.includes("/node_modules/") || isOwnFile(path);
}
