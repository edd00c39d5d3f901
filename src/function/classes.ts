/**
 * Error classes that both sides may have, each in its own copy of a module: where a class is
 * exported from, and what a place exports. Looked up only when an error is sent or received.
 */
import { exportsOfEvaluating } from "./evaluating.ts";
import { exportsOf, loadedPaths } from "./graph.ts";
import { plainPath } from "./paths.ts";

/** A class as the codec names it: see codec/types.ts. */
interface Reference {
  readonly module: string | null;
  readonly name: string;
}

/** At most so many places are sent for a class: the other side may have only one of the modules. */
const MOST_PLACES = 6;

/** By prototype. `modules` is the number of modules that were loaded at the search. */
const found = new WeakMap<object, { readonly places: readonly Reference[]; modules: number }>();

/** Where the loaded modules of this process export the class of a prototype. */
export function exportersOf(maker: Function | null, prototype: object): readonly Reference[] {
  const known = found.get(prototype);
  if (known !== undefined && known.places.length > 0) return known.places;
  const paths = loadedPaths();
  if (known?.modules === paths.length) return known.places;
  const own = maker === null ? undefined : read(maker, "name");
  const name = typeof own === "string" ? own : "";
  const places = [...search(paths, name, prototype)];
  found.set(prototype, { places, modules: paths.length });
  return places;
}

function* search(paths: readonly string[], name: string, prototype: object): Iterable<Reference> {
  const inRuntime = placeInRuntime(name, prototype);
  if (inRuntime !== null) return yield inRuntime;
  let count = 0;
  for (const [module, exports] of modulesOf(paths)) {
    const within = placeIn(exports, name, prototype);
    if (within === null) continue;
    yield { module, name: within };
    if (++count === MOST_PLACES) return;
  }
}

/** The class at a place, if its module is loaded here; else undefined. */
export function exportedClass({ module, name }: Reference): unknown {
  if (module === null) return at(globalThis, name);
  if (RUNTIME[name] === module) return at(process.getBuiltinModule(module), name);
  for (const path of [module, ...aliasesOf(module)]) {
    const exports = exportsOf(path);
    if (exports !== undefined) return at(exports, name);
  }
  return at(exportsOfEvaluating(module), name);
}

function* modulesOf(paths: readonly string[]): Iterable<[string, unknown]> {
  for (const path of paths) {
    const exports = path.startsWith("/") ? exportsOf(path) : undefined;
    if (exports !== undefined) yield [plainPath(path), exports];
  }
  const main = exportsOfEvaluating(Bun.main);
  if (main !== undefined) yield [Bun.main, main];
}

/** The keys under which a module is loaded, if they differ from its path. */
function aliasesOf(module: string): string[] {
  if (exportsOf(module) !== undefined) return [];
  return loadedPaths().filter((key) => key !== module && plainPath(key) === module);
}

/**
 * The path to a class among exports: the exports themselves (""), a name, or a name within a name.
 * Null if the class is not there.
 */
function placeIn(exports: unknown, name: string, prototype: object): string | null {
  if (isOf(exports, prototype)) return "";
  if (!isHolder(exports)) return null;
  // A getter of the class's own name is run, too: compilers export by getters.
  if (name !== "" && isOf(read(exports, name), prototype)) return name;
  for (const key of keysOf(exports)) {
    const value = valueOf(exports, key);
    if (key.includes(".")) continue;
    if (isOf(value, prototype)) return key;
    if (name !== "" && isHolder(value) && isOf(read(value, name), prototype)) {
      return `${key}.${name}`;
    }
  }
  return null;
}

/** Error classes that modules of the runtime export. Loading all those modules would take long. */
const RUNTIME: Readonly<Record<string, string>> = {
  AssertionError: "node:assert",
  SQLiteError: "bun:sqlite",
};

/** Namespaces among the globals that hold classes. */
const NAMESPACES = ["WebAssembly", "Bun"];

function placeInRuntime(name: string, prototype: object): Reference | null {
  if (name === "") return null;
  if (isOf(read(globalThis, name), prototype)) return { module: null, name };
  for (const namespace of NAMESPACES) {
    const holder: unknown = read(globalThis, namespace);
    if (!isHolder(holder)) continue;
    if (isOf(read(holder, name), prototype)) return { module: null, name: `${namespace}.${name}` };
    for (const key of keysOf(holder)) {
      // Only classes and `$`: other properties may be created by reading them.
      const inner = /^[A-Z$]/.test(key) ? read(holder, key) : undefined;
      if (isHolder(inner) && isOf(read(inner, name), prototype)) {
        return { module: null, name: `${namespace}.${key}.${name}` };
      }
    }
  }
  const module = Object.hasOwn(RUNTIME, name) ? RUNTIME[name]! : null;
  if (module === null) return null;
  return isOf(at(process.getBuiltinModule(module), name), prototype) ? { module, name } : null;
}

function isHolder(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function isOf(value: unknown, prototype: object): boolean {
  return typeof value === "function" && valueOf(value, "prototype") === prototype;
}

function keysOf(holder: object): string[] {
  try {
    return Object.getOwnPropertyNames(holder);
  } catch {
    return []; // a proxy
  }
}

/** An own property's value; no getter is run. */
function valueOf(holder: object, key: string): unknown {
  try {
    return Object.getOwnPropertyDescriptor(holder, key)?.value as unknown;
  } catch {
    return undefined; // not initialized yet
  }
}

/** An own property's value; getters are run. */
function read(holder: object, key: string): unknown {
  try {
    return Object.hasOwn(holder, key) ? (Reflect.get(holder, key) as unknown) : undefined;
  } catch {
    return undefined;
  }
}

/** The value at a name with dots. */
function at(holder: unknown, name: string): unknown {
  if (name === "") return holder;
  let value = holder;
  for (const key of name.split(".")) value = isHolder(value) ? read(value, key) : undefined;
  return value;
}
