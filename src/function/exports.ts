import { existsSync } from "node:fs";
import { performance } from "../os/natives.ts";
import { exportsOf, loadedPaths } from "./graph.ts";
import { readText } from "./module-text.ts";
import { isOwnFile, plainPath } from "./paths.ts";

/** The names under which modules export functions. A function is found by identity, not by name. */
export interface Export {
  readonly module: string;
  readonly name: string;
}

let index = new Map<unknown, Export>();
let indexedModules = 0;
let lookedAt = -Infinity;

/**
 * ms between two scans of the loaded modules for functions without a name: programs make such
 * functions anew for each call, and few are exported. A scan takes some 50 µs.
 */
const LOOK_MS = 50;

/**
 * Where a loaded module exports a function; undefined if none does, or the module is bsync's own.
 */
export function findExport(fn: Function): Export | undefined {
  let found = index.get(fn);
  if (found === undefined && (fn.name !== "" || performance.now() - lookedAt > LOOK_MS)) {
    lookAtModules();
    found = index.get(fn);
  }
  return found === undefined || isOwnFile(found.module) ? undefined : found;
}

function lookAtModules(): void {
  const paths = loadedPaths();
  lookedAt = performance.now();
  if (paths.length === indexedModules) return;
  indexedModules = paths.length;
  index = new Map();
  for (const path of paths) if (path.startsWith("/")) indexExports(path);
}

function indexExports(path: string): void {
  const module = plainPath(path);
  for (const [name, value] of functionsAmong(exportsOf(path))) {
    // If several modules export it, the module that uses the function's own name is likely its
    // origin.
    const known = index.get(value);
    if (known === undefined || (known.name !== value.name && name === value.name)) {
      index.set(value, { module, name });
    }
  }
}

/** The name of a function among exports. */
export function nameAmong(exports: unknown, fn: Function): string | undefined {
  return functionsAmong(exports).find(([, value]) => value === fn)?.[0];
}

function functionsAmong(exports: unknown): [string, Function][] {
  if (exports === null || (typeof exports !== "object" && typeof exports !== "function")) return [];
  return Object.keys(exports).flatMap((name): [string, Function][] => {
    const value = valueOf(exports, name);
    return typeof value === "function" ? [[name, value]] : [];
  });
}

/** An own property's value. No getters are run. */
function valueOf(exports: object, name: string): unknown {
  try {
    return Object.getOwnPropertyDescriptor(exports, name)?.value;
  } catch {
    return undefined; // not initialized yet
  }
}

const exporting = new Map<string, boolean>();

/** Whether a module's text looks as if it exported anything. */
export function mayExport(module: string): boolean {
  let may = exporting.get(module);
  if (may === undefined) {
    may = existsSync(module) && /\bexports?\b/.test(readText(module));
    exporting.set(module, may);
  }
  return may;
}
