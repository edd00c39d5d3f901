import { extname } from "node:path";
import { JSON } from "../os/natives.ts";
import { withNamesInReach } from "./common-js.ts";
import { setTextFor } from "./evaluating.ts";
import { hasGraph, runInGraph, type Loaded, setGraph, setLoaded } from "./graph.ts";
import { asNoMain, mainScript, mainText } from "./main-script.ts";
import { noteShift } from "./maps.ts";
import { AS_IT_IS, HAND_OVER, isOwnFile, NO_LANGUAGE, plainPath, RUNS_PROGRAM } from "./paths.ts";
import {
  type ImportedModule,
  importedWithAttributes,
  importsOf,
  isEsModule,
  languageOf,
  mayCallBsync,
  readText,
  resolved,
} from "./module-text.ts";
import { preloads } from "./preloads.ts";
import { testStandIn } from "./test-stand-in.ts";

/**
 * On a worker: loads the program's modules, each once, under its own path, by the runtime and with
 * all that the program has set for it; and brings their top-level names within reach.
 *
 * A module's names can be evaluated only from within the module. So a statement is put before its
 * text, on its first line: it hands over a function that evaluates there, and the module's
 * namespace. The text itself is not changed. The runtime asks a plugin only for the text of modules
 * that were named to it; each module is named when it is first resolved. The runtime loads
 * everything else as ever: packages that have nothing to do with bsync, CommonJS modules
 * (`common-js.ts`), and modules imported with attributes.
 *
 * A process that was started as a worker loads the modules into its own graph. A rank has run the
 * main script itself, up to `AsyncPool.open`: there they form a second graph (`Bun.ModuleGraph`)
 * that shares no state with the modules of that run. Both use the same bsync.
 */

/**
 * Evaluates an expression among a module's top-level names. `__bsync_meta` is its `import.meta`.
 */
export type Evaluate = (text: string) => unknown;

/** Receives a module that begins to run; its names may not be initialized yet. */
export type TakeOver = (path: string, evaluate: Evaluate, exports: object) => void;

type Exports = Record<string, unknown>;

/** The namespace of bsync's modules that are no files. */
const NAMESPACE = "bsync";
/** Runs in the graph, so that the modules it loads belong to the graph. */
const INSIDE =
  "export const load = (path) => import(path);" +
  "export const requireModule = (specifier) => require(specifier);" +
  "export const cache = require.cache;";

interface Inside {
  load(path: string): Promise<Exports>;
  requireModule(specifier: string): unknown;
  readonly cache: Loaded;
}

const HERE: Inside = {
  load: (path) => import(path) as Promise<Exports>,
  requireModule: (specifier) => require(specifier) as unknown,
  cache: require.cache,
};

let inside: Inside | null = null;
let plugin: Bun.PluginBuilder | null = null;
/** The modules that were named to the runtime; their texts until they are loaded, then null. */
const named = new Map<string, string | null>();
/** The specifiers that each module imports with attributes, by the module's path. */
const attributes = new Map<string, ReadonlySet<string>>();
let isResolving = false;

/** Loads a module by its name in the runtime; resolves with its namespace. */
export function loadModule(key: string): Promise<Exports> {
  return inside!.load(key);
}

/** Requires a module, as the program's own code would. */
export function requireModule(specifier: string): unknown {
  return inside!.requireModule(specifier);
}

/** The CommonJS modules that were required for their names. */
const required = new Set<string>();

/** Loads a CommonJS module with its names within reach. */
export function loadCommonJs(path: string): void {
  required.add(path);
  withNamesInReach(() => asNoMain(() => requireModule(path)));
}

/**
 * Prepares this process, once; `takeOver` is called for each module whose names come within reach.
 */
export function prepareLoader(takeOver: TakeOver): Promise<void> {
  // Several functions may be resolved at once.
  return (prepared ??= prepare(takeOver));
}

let prepared: Promise<void> | null = null;

async function prepare(takeOver: TakeOver): Promise<void> {
  const mayHook = mayRunTexts();
  if (!RUNS_PROGRAM) {
    setGlobal(takeOver);
    if (mayHook) install();
    inside = HERE;
    return;
  }
  // Modules that the program's own run loads later may get the statement, too.
  setGlobal(() => {});
  const graph = new Bun.ModuleGraph({ globals: { [HAND_OVER]: takeOver } });
  setGraph(graph);
  setTextFor((path) => (named.has(path) ? open(path) : null));
  if (!mayHook) {
    const load = (path: string) => graph.import<Exports>(path);
    inside = { load, requireModule: HERE.requireModule, cache: {} };
    return;
  }
  install();
  inside = await graph.import<Inside>(`${NAMESPACE}:inside`);
  setLoaded(inside.cache);
  // Preloads set up these modules as they did those of the program's own run. A preload that can
  // run only once, because it takes a port, has run there.
  for (const preload of preloads()) await inside.load(preload).catch(() => {});
}

/**
 * `--disallow-code-generation-from-strings=strict` forbids texts of plugins, too: then only exports
 * are within reach.
 */
function mayRunTexts(): boolean {
  try {
    new (process.getBuiltinModule("node:vm").Script)("");
    return true;
  } catch {
    return false;
  }
}

function setGlobal(takeOver: TakeOver): void {
  if (Object.hasOwn(globalThis, HAND_OVER)) return;
  Object.defineProperty(globalThis, HAND_OVER, { value: takeOver });
}

function install(): void {
  Bun.plugin({
    name: "bsync",
    setup(build) {
      plugin = build;
      build.onResolve({ filter: /./ }, ({ path, importer }) => onResolve(path, importer));
      build.onResolve({ filter: /^test$/, namespace: "bun" }, ({ importer }) =>
        named.has(plainPath(importer)) ? { path: "test", namespace: NAMESPACE } : undefined,
      );
      build.onResolve({ filter: /^module$/, namespace: "node" }, ({ importer }) =>
        modulesOwn(importer),
      );
      build.onLoad({ filter: /^module$/, namespace: NAMESPACE }, () => ({
        exports: moduleOfGraph(),
        loader: "object",
      }));
      build.onLoad({ filter: /^test$/, namespace: NAMESPACE }, () => ({
        exports: testStandIn(),
        loader: "object",
      }));
      build.onLoad({ filter: /^inside$/, namespace: NAMESPACE }, () => ({
        contents: INSIDE,
        loader: "js",
      }));
    },
  });
}

function modulesOwn(importer: string): Bun.OnResolveResult | undefined {
  if (!hasGraph() || !named.has(plainPath(importer))) return undefined;
  return { path: "module", namespace: NAMESPACE };
}

/**
 * `node:module` in a graph: its `createRequire`, called from outside, would give a `require` for
 * outside.
 */
function moduleOfGraph(): Exports {
  const module = process.getBuiltinModule("node:module");
  const createRequire: typeof module.createRequire = (path) =>
    runInGraph(() => module.createRequire(path));
  const whole = new Proxy(module, {
    get: (target, key) => (key === "createRequire" ? createRequire : Reflect.get(target, key)),
  });
  return { ...module, createRequire, default: whole };
}

function onResolve(specifier: string, importer: string): Bun.OnResolveResult | undefined {
  // The runtime also calls this for the resolution below.
  if (isResolving) return undefined;
  // The imports within bsync are beyond number, and none of them is a module of the program.
  if (specifier.startsWith(".") && !hasGraph() && isOwnFile(importer)) return undefined;
  // A program that was given by `bun -e` is no file.
  if (specifier === keyOf(mainScript()) && mainText() !== null) return { path: specifier };
  const from = plainPath(importer);
  if (specifier === "module") return modulesOwn(importer);
  const target = resolveQuietly(specifier, from);
  if (target === null) return undefined;
  if (isImportedWithAttributes(specifier, from)) return { path: target + AS_IT_IS };
  if (!nameModule(target)) requireFirst(target);
  return undefined;
}

function resolveQuietly(specifier: string, importer: string): string | null {
  isResolving = true;
  try {
    return resolved(specifier, importer);
  } finally {
    isResolving = false;
  }
}

/** Names the packages that a module imports: the runtime asks no plugin to resolve these. */
function namePackages(path: string, text: string): void {
  for (const { specifier, path: target, isStatement } of importsQuietly(path, text)) {
    if (/^[./]/.test(specifier) || isImportedWithAttributes(specifier, path)) continue;
    if (!nameModule(target) && isStatement) requireFirst(target);
  }
}

function importsQuietly(path: string, text: string): ImportedModule[] {
  isResolving = true;
  try {
    return importsOf(path, text);
  } finally {
    isResolving = false;
  }
}

/**
 * Requires a CommonJS module that is about to be imported, with its names within reach; the import
 * gets its exports. The runtime would run it now, too, to learn the names of its exports.
 */
function requireFirst(path: string): void {
  if (isOwnFile(path) || required.has(path)) return;
  if (inside?.cache[path] !== undefined) return;
  try {
    const text = languageOf(path) === undefined ? "" : readText(path);
    if (text === "" || isEsModule(path, text) || !mayCallBsync(path, text)) return;
    loadCommonJs(path);
  } catch {
    // The import itself will say what is wrong.
  }
}

function isImportedWithAttributes(specifier: string, importer: string): boolean {
  return attributes.get(importer)?.has(specifier) ?? false;
}

/**
 * Names a module to the runtime, if its names can come within reach; returns whether they can.
 * `isWanted`: functions of it are known to be called.
 */
export function nameModule(path: string, isWanted = false): boolean {
  if (plugin === null) return false;
  if (named.has(path)) return true;
  if (isOwnFile(path)) return shareOwn(path);
  const text = textOf(path, isWanted);
  if (text === null) return false;
  named.set(path, text);
  attributes.set(path, importedWithAttributes(text));
  onLoadOf(keyOf(path), () => ({ contents: open(path), loader: languageOf(path) ?? "tsx" }));
  return true;
}

function textOf(path: string, isWanted: boolean): string | null {
  const isProgram = path === mainScript() || extname(path) === "";
  if (languageOf(path) === undefined && !(isWanted && isProgram)) return null;
  try {
    const text = (path === mainScript() ? mainText() : null) ?? readText(path);
    return isEsModule(path, text) && (isWanted || mayCallBsync(path, text)) ? text : null;
  } catch {
    return null; // The import itself will say what is wrong.
  }
}

/** A second graph gets the bsync of the rest of the process. */
function shareOwn(path: string): boolean {
  if (!hasGraph()) return false;
  named.set(path, null);
  const exports = require(path) as Exports;
  onLoadOf(path, () => ({ exports, loader: "object" }));
  return false;
}

/** The runtime takes the part before a colon for a namespace. */
function onLoadOf(path: string, load: () => Bun.OnLoadResult): void {
  const at = path.indexOf(":");
  const filter = new RegExp(`^${RegExp.escape(path.slice(at + 1))}$`);
  plugin!.onLoad(at < 0 ? { filter } : { filter, namespace: path.slice(0, at) }, load);
}

/** A module's text with the statement before it. */
function open(path: string): string {
  const text = named.get(path) ?? readText(path);
  named.set(path, null);
  namePackages(path, text);
  const statement = statementOf(path);
  noteShift(path, statement.length);
  return statement + text;
}

function statementOf(path: string): string {
  // By its path the runtime takes it for this process's main script, which on a worker it is not.
  const noMain = path === mainScript() ? "import.meta.main=false;" : "";
  return (
    `import * as __bsync_exports from ${JSON.stringify(keyOf(path))};` +
    `${HAND_OVER}(${JSON.stringify(path)},` +
    "(__bsync_text,__bsync_meta=import.meta)=>eval(__bsync_text),__bsync_exports);" +
    noMain
  );
}

/** The name under which the runtime has a module that was named to it. */
export function keyOf(path: string): string {
  return languageOf(path) === undefined ? path + NO_LANGUAGE : path;
}
