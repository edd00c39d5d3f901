import { readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { FunctionError } from "../errors.ts";
import { codeOf } from "./text.ts";

/**
 * On a worker: modules whose top-level names can be reached from outside.
 *
 * A module is imported a second time under its path with `?bsync` behind it, and a loader puts one
 * statement before its text, on its first line so that line numbers stay true. The statement
 * hands over a function that evaluates a text among the module's own names, exported or not, and
 * one getter for each export, which works where evaluating texts is forbidden.
 *
 * What such a module imports by a relative path is loaded in the same way: all of a program's own
 * modules are one graph on the worker, each with one state. Packages and bsync itself stay as they are.
 */
interface Scope {
  /** Evaluates an expression among the module's top-level names; `__bsync_meta` is its `import.meta`. */
  readonly evaluate: (text: string) => unknown;
  /** The module's exports, by name; reading one that is not initialized yet throws. */
  readonly exports: Readonly<Record<string, () => unknown>>;
}

/** Behind the path of a module that is loaded with its scope open. */
export const QUERY = "?bsync";
const LOADERS: Record<string, "js" | "jsx" | "ts" | "tsx"> = {
  ".js": "js",
  ".mjs": "js",
  ".jsx": "jsx",
  ".ts": "ts",
  ".mts": "ts",
  ".tsx": "tsx",
};

/** bsync's own files: never loaded twice. */
const OWN_SOURCES = dirname(import.meta.dir) + "/";
const OWN_INDEX = join(OWN_SOURCES, "..", "index.ts");

const scopes = new Map<string, Scope>();
const loading = new Map<string, Promise<void>>();

// On `globalThis`: a bundled program that is loaded for its functions brings a bsync of its own.
const slot = Symbol.for("bsync.loading");
interface Shared {
  /** For each module that is being loaded: tells that it has come to `AsyncPool.open`. */
  readonly opened: Set<() => void>;
  main: string | null;
}
const holder = globalThis as { [slot]?: Shared };
const shared = (holder[slot] ??= { opened: new Set(), main: null });
const { opened } = shared;

/** ms that a module may take to load: one that awaits for ever at its top level is of no use. */
const LOAD_MS = 60_000;

/** In a bundled program there are no files of bsync's own: it is part of the program. */
const BUNDLED = !import.meta.path.endsWith("/src/function/scope.ts");

/** Whether a file belongs to bsync itself. */
export function isOwnFile(path: string): boolean {
  if (BUNDLED) return false;
  return path.startsWith(OWN_SOURCES) || path === OWN_INDEX;
}

/** The program's main script: on a worker, that of the process it works for. */
export function mainScript(): string {
  return shared.main ?? Bun.main;
}

/** This process is a worker of a program with that main script. */
export function setMainScript(path: string): void {
  shared.main = path;
}

/** A path as the program knows it. */
export function plainPath(path: string): string {
  const file = path.startsWith("file://") ? Bun.fileURLToPath(path.replace("%3F", "?")) : path;
  return file.replace(/\?bsync(-inline-\d+)?$/, "");
}

/** True while a module is being loaded for its functions: `AsyncPool.open` must not open anything then. */
export function isLoading(): boolean {
  return opened.size > 0;
}

/** The script has come to `AsyncPool.open`: what a worker needs of it is there. */
export function reachedOpen(): void {
  for (const resolve of opened) resolve();
}

/**
 * Loads a module once; resolves when it has run to its end, or to `AsyncPool.open`.
 * Rejects with what the module threw, now and at every later call.
 */
export function loadScope(path: string): Promise<void> {
  let promise = loading.get(path);
  if (promise === undefined) {
    promise = load(path);
    promise.catch(() => {}); // it is awaited by whoever asks, if anybody does
    loading.set(path, promise);
  }
  return promise;
}

async function load(path: string): Promise<void> {
  installLoader();
  if (/\/\[(eval|stdin)\]$/.test(path)) {
    // A program that was given by `bun -e` or on stdin: there is nothing to load, nor any name in it.
    const evaluate = (source: string): unknown => (0, eval)(source);
    scopes.set(path, { evaluate, exports: {} });
    return;
  }
  if (!isScoped(path)) {
    // A program does not get to import its own main script: Bun waits for its end then, for ever.
    if (path === Bun.main) {
      throw new FunctionError(
        `Cannot load ${path} for the functions in it: it is compiled, or no ES module; ` +
          "register them with task() at its top level",
      );
    }
    const namespace = await importGuarded(path);
    const exports = namespace === undefined ? {} : gettersOf(namespace);
    // Its own names are out of reach; a text that uses none of them is as good anywhere.
    const evaluate = (source: string): unknown => (0, eval)(source);
    scopes.set(path, { evaluate, exports });
    return;
  }
  const namespace = await importGuarded(path + QUERY);
  const scope = scopes.get(path);
  // A module that has run to its end says itself what it exports, and under which names.
  if (namespace !== undefined && scope !== undefined) {
    scopes.set(path, { ...scope, exports: { ...scope.exports, ...gettersOf(namespace) } });
  }
}

/** Imports a module; undefined if it has not run to its end, but to `AsyncPool.open`. */
async function importGuarded(specifier: string): Promise<Record<string, unknown> | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const stop = () => resolve(undefined);
  opened.add(stop);
  const timer = setTimeout(() => {
    const what = `Cannot load ${plainPath(specifier)} for the functions in it`;
    const why = `it was not done after ${LOAD_MS / 1000} s; what does its top level wait for?`;
    reject(new FunctionError(`${what}: ${why}`));
  }, LOAD_MS);
  timer.unref();
  try {
    return await Promise.race([import(specifier) as Promise<Record<string, unknown>>, promise]);
  } finally {
    opened.delete(stop);
    clearTimeout(timer);
  }
}

function gettersOf(namespace: Record<string, unknown>): Record<string, () => unknown> {
  const getters: Record<string, () => unknown> = {};
  for (const name of Object.keys(namespace)) getters[name] = () => namespace[name];
  return getters;
}

/**
 * Whether a module can be loaded with its scope open: an ES module of the program's own. Of a CommonJS
 * module (which a loader's text cannot be) only the exports are in reach.
 */
function isScoped(path: string): boolean {
  if (!(extname(path) in LOADERS) || isOwnFile(path) || path.includes("/node_modules/"))
    return false;
  const text = readFileSync(path, "utf8");
  return /^\s*(import|export)\b/m.test(text) || !/\bmodule\.exports\b|\bexports\.\w/.test(text);
}

/** The scope of a module that was loaded; undefined for one that was not, or that did not parse. */
export function scopeOf(path: string): Scope | undefined {
  return scopes.get(path);
}

/** Every module loaded so far, for finding the module of a class. */
export function scopedModules(): IterableIterator<[string, Scope]> {
  return scopes.entries();
}

let installed = false;

function installLoader(): void {
  if (installed) return;
  installed = true;
  const handOver = (path: string, scope: Scope) => void scopes.set(path, scope);
  Object.defineProperty(globalThis, Symbol.for("bsync.scope"), { value: handOver });
  Bun.plugin({
    name: "bsync",
    setup(build) {
      build.onLoad({ filter: /\?bsync$/ }, ({ path }) => {
        const file = plainPath(path);
        return { contents: open(file, readFileSync(file, "utf8")), loader: loaderOf(file) };
      });
      build.module("bsync:test", () => ({ exports: testStandIn(), loader: "object" }));
    },
  });
}

function loaderOf(path: string): "js" | "jsx" | "ts" | "tsx" {
  return LOADERS[extname(path)] ?? "ts";
}

/** The module's text with the statement before it, and its own imports led to `?bsync`. */
function open(path: string, source: string): string {
  const text = source.startsWith("#!") ? `//${source}` : source;
  const { exports, imports } = new Bun.Transpiler({ loader: loaderOf(path) }).scan(text);
  const getters = exports
    .filter((name) => name !== "default" && /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name))
    .map((name) => `${name}: () => ${name}`);
  const statement =
    `globalThis[Symbol.for("bsync.scope")](${JSON.stringify(path)}, ` +
    `{ evaluate: (__bsync_text, __bsync_meta = import.meta) => eval(__bsync_text), exports: { ${getters.join(", ")} } });` +
    `import.meta.main = false; import.meta.url = ${JSON.stringify(Bun.pathToFileURL(path).href)};`;
  const targets = new Map<string, string>();
  for (const { path: specifier } of imports) {
    const target = redirect(specifier, path);
    if (target !== undefined) targets.set(specifier, target);
  }
  return statement + redirectImports(text, targets);
}

/** Where an import of a scoped module leads instead; undefined where it stays as it is. */
function redirect(specifier: string, importer: string): string | undefined {
  if (specifier === "bun:test") return "bsync:test";
  let target: string;
  try {
    target = Bun.resolveSync(specifier, dirname(importer));
  } catch {
    return undefined; // the import itself will say what is wrong
  }
  if (!target.startsWith("/")) return undefined;
  return isScoped(target) ? target + QUERY : undefined;
}

/** Leads imports elsewhere, where they stand as such in the code, and nowhere else. */
function redirectImports(text: string, targets: ReadonlyMap<string, string>): string {
  const before = /(?:\bfrom\s*|\bimport\s*\(?\s*)(?=["'])/g;
  let result = "";
  let done = 0;
  for (const { 0: words, index } of codeOf(text).matchAll(before)) {
    const start = index + words.length;
    const end = text.indexOf(text[start]!, start + 1);
    const target = targets.get(text.slice(start + 1, end));
    if (target === undefined) continue;
    result += text.slice(done, start) + JSON.stringify(target);
    done = end + 1;
  }
  return result + text.slice(done);
}

/**
 * A test file is a module like any other to a worker, but `bun:test` cannot be used outside the
 * test runner. There its functions do nothing, so that the file's own top-level names come to be.
 */
function testStandIn(): Record<string, unknown> {
  const nothing: unknown = new Proxy(() => {}, {
    get: (_, name) => (name === Symbol.toPrimitive || name === "then" ? undefined : nothing),
    apply: () => nothing,
  });
  const names =
    "test it describe beforeAll beforeEach afterAll afterEach mock spyOn jest vi xit xtest";
  const more = "xdescribe setSystemTime onTestFinished setDefaultTimeout expectTypeOf";
  const standIn: Record<string, unknown> = {};
  for (const name of `${names} ${more}`.split(" ")) standIn[name] = nothing;
  standIn["expect"] = () => {
    throw new FunctionError(
      "Cannot use expect in a task: a worker is no test runner; return a value",
    );
  };
  return standIn;
}
