import { readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { FunctionError } from "../errors.ts";
import { clearTimeout, JSON, newPromise, Promise, setTimeout } from "../os/natives.ts";
import { codeOf } from "./text.ts";

/**
 * On a worker: modules whose top-level names can be reached from outside.
 *
 * A module is imported a second time under its path with `?bsync` behind it, and a loader puts two
 * statements before its text, on its first line so that line numbers stay true. They hand over a
 * function that evaluates a text among the module's own names, exported or not, and the module's
 * namespace, which it imports from itself: that works where evaluating texts is forbidden, too, and
 * before the module has run to its end.
 *
 * What such a module imports by a relative path is loaded in the same way: all of a program's own
 * modules are one graph on the worker, each with one state. Packages and bsync itself stay as they are.
 */
interface Scope {
  /** Evaluates an expression among the module's top-level names; `__bsync_meta` is its `import.meta`. */
  readonly evaluate: (text: string) => unknown;
  /** The module's namespace, re-exports included; reading a name that is not initialized yet throws. */
  readonly exports: Readonly<Record<string, unknown>>;
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
const OWN_ENTRIES = ["index.ts", "mpi.ts"].map((name) => join(OWN_SOURCES, "..", name));

const scopes = new Map<string, Scope>();
const loading = new Map<string, Promise<void>>();

// On `globalThis`: a bundled program that is loaded for its functions brings a bsync of its own.
const slot = Symbol.for("bsync.loading");
interface Shared {
  /** How many modules are being loaded just now. */
  loading: number;
  /** The program's main script, and what to do when it comes to `AsyncPool.open` while it is loaded. */
  main: string | null;
  onOpen: () => void;
  /** What the main script has come to, and goes no further: `AsyncPool.open`, or a call that communicates; null: not yet. */
  end: string | null;
}
const holder = globalThis as { [slot]?: Shared };
const shared = (holder[slot] ??= { loading: 0, main: null, onOpen: () => {}, end: null });

/** ms that a module may take to load: one that awaits for ever at its top level is of no use. */
const LOAD_MS = 60_000;

/** In a bundled program there are no files of bsync's own: it is part of the program. */
const BUNDLED = !import.meta.path.endsWith("/src/function/scope.ts");

/** Whether a file belongs to bsync itself. */
export function isOwnFile(path: string): boolean {
  if (BUNDLED) return false;
  return path.startsWith(OWN_SOURCES) || OWN_ENTRIES.includes(path);
}

/** The program's main script: on a worker, that of the process it works for. */
export function mainScript(): string {
  return shared.main ?? Bun.main;
}

/** This process is a worker of a program with that main script; null: of none any more. */
export function setMainScript(path: string | null): void {
  shared.main = path;
}

/** A path as the program knows it. */
export function plainPath(path: string): string {
  const file = path.startsWith("file://") ? Bun.fileURLToPath(path.replace("%3F", "?")) : path;
  return file.replace(/\?bsync(-inline-\d+)?$/, "");
}

/**
 * Whether code may run here that belongs to a module's run for its functions: while one is loaded, and, as top levels
 * start what goes on after them, until the main script's has come to its end.
 */
export function mayRunAgain(): boolean {
  return shared.loading > 0 || (shared.end === null && loading.size > 0);
}

/** True while a module is being loaded for its functions: `AsyncPool.open` must not open anything then. */
export function isLoading(): boolean {
  return shared.loading > 0;
}

/** The main script has come to `AsyncPool.open`, or to another call that ends its run here: what a worker needs of it is there. */
export function reachedOpen(end = "AsyncPool.open"): void {
  shared.end ??= end;
  shared.onOpen();
}

/** The call that the main script was loaded up to here; null where it was not, or has run to its end. */
export function endOfMain(): string | null {
  return shared.end;
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
    const exports = (await importGuarded(path)) ?? {};
    // Its own names are out of reach; a text that uses none of them is as good anywhere.
    const evaluate = (source: string): unknown => (0, eval)(source);
    scopes.set(path, { evaluate, exports });
    return;
  }
  if (path !== mainScript() && dependsOn(path, mainScript())) {
    // In a circle of imports the order is that of the program itself, where the main script is first.
    await loadScope(mainScript());
    if (scopes.has(path)) return;
    if (shared.end !== null) {
      throw new FunctionError(
        `Cannot load ${path} for the functions in it: it imports ${mainScript()}, which on a worker ` +
          `goes no further than ${shared.end}; move what they share to a module of its own`,
      );
    }
  }
  await importGuarded(path + QUERY);
}

/** Imports a module; undefined if it has not run to its end, but to `AsyncPool.open`. */
async function importGuarded(specifier: string): Promise<Record<string, unknown> | undefined> {
  const { promise, resolve, reject } = newPromise<undefined>();
  const path = plainPath(specifier);
  if (path === mainScript()) shared.onOpen = () => resolve(undefined);
  shared.loading++;
  const timer = setTimeout(() => {
    const what = `Cannot load ${path} for the functions in it`;
    const why = `it was not done after ${LOAD_MS / 1000} s; what does its top level wait for?`;
    reject(new FunctionError(`${what}: ${why}`));
  }, LOAD_MS);
  timer.unref();
  try {
    return await Promise.race([import(specifier) as Promise<Record<string, unknown>>, promise]);
  } finally {
    shared.loading--;
    clearTimeout(timer);
  }
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

/** The module's text with two statements before it, and its own imports led to `?bsync`. */
function open(path: string, source: string): string {
  const text = source.startsWith("#!") ? `//${source}` : source;
  const self = JSON.stringify(path + QUERY);
  const statements =
    `import * as __bsync_exports from ${self};` +
    `globalThis[Symbol.for("bsync.scope")](${JSON.stringify(path)}, ` +
    "{ evaluate: (__bsync_text, __bsync_meta = import.meta) => eval(__bsync_text), exports: __bsync_exports });" +
    `import.meta.main = false; import.meta.url = ${JSON.stringify(Bun.pathToFileURL(path).href)};`;
  const targets = new Map<string, string>();
  for (const { path: specifier } of importsOf(path)) {
    const target = redirect(specifier, path);
    if (target !== undefined) targets.set(specifier, target);
  }
  return statements + redirectImports(text, targets);
}

/** What a module imports. */
function importsOf(path: string): Bun.Import[] {
  const text = readFileSync(path, "utf8").replace(/^#!/, "//#!");
  return new Bun.Transpiler({ loader: loaderOf(path) }).scan(text).imports;
}

/** Whether a module imports another before it runs itself, by whatever way. */
function dependsOn(path: string, other: string, seen = new Set<string>()): boolean {
  seen.add(path);
  for (const { path: specifier, kind } of importsOf(path)) {
    const target = kind === "import-statement" ? plainPath(redirect(specifier, path) ?? "") : "";
    if (target === other) return true;
    if (target.startsWith("/") && !seen.has(target) && dependsOn(target, other, seen)) return true;
  }
  return false;
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
