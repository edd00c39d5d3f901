/**
 * The exports of modules that are still being evaluated, as the main script is while it awaits. The
 * cache does not list them, and an import would wait for their end. But a module that imports their
 * namespace is linked at once, and its own imports are evaluated before it waits: one of these
 * hands the namespace over.
 */
import { JSON, mainAtLoad } from "../os/natives.ts";
import { isWorker } from "./main-script.ts";
import { importedModules, languageOf } from "./module-text.ts";
import { isOwnFile } from "./paths.ts";

/** A file, or the module of a compiled program. */
const SOURCE = /^\/(.*\.[cm]?[jt]sx?|\$bunfs\/.*)$/;

/** By path; null: the namespace cannot be had, or the module is not being evaluated. */
const namespaces = new Map<string, object | null>();

/** Undefined for a module in the cache, and for one that was not loaded with the main script. */
export function exportsOfEvaluating(path: string): object | undefined {
  let namespace = namespaces.get(path);
  if (namespace === undefined) {
    if (require.cache[path] !== undefined || !isLoaded(path)) return undefined;
    namespace = takeNamespace(path, require);
    namespaces.set(path, namespace);
  }
  return namespace ?? undefined;
}

/** Whether a module is certainly loaded in this process's own run: the main script imports it. */
function isLoaded(path: string): boolean {
  // A worker reaches the names of its modules another way, and has more modules to load.
  if (isWorker() || !SOURCE.test(mainAtLoad) || !SOURCE.test(path)) return false;
  if (path === mainAtLoad) return true;
  if (path.includes("/node_modules/") || require.cache[mainAtLoad] !== undefined) return false;
  importedByMain ??= importsFrom(mainAtLoad, new Set());
  return importedByMain.has(path);
}

let importedByMain: Set<string> | null = null;

/** The program's own modules that a module imports before it runs, directly or indirectly. */
function importsFrom(path: string, found: Set<string>): Set<string> {
  for (const target of importedModules(path)) {
    if (!SOURCE.test(target) || target.includes("/node_modules/") || found.has(target)) continue;
    if (isOwnFile(target)) continue;
    found.add(target);
    importsFrom(target, found);
  }
  return found;
}

let count = 0;

/** The text of a module that is loaded once more, for its functions; null for any other. */
let textFor: (path: string) => string | null = () => null;

/** Of several plugins that give a module's text the runtime asks the first one: that is here. */
export function setTextFor(text: typeof textFor): void {
  textFor = text;
}

/**
 * The namespace of a module that is being evaluated; null for any other. `requireIn` requires in
 * the module's graph.
 */
export function takeNamespace(
  path: string,
  requireIn: (specifier: string) => unknown,
): object | null {
  let taken: object | null = null;
  let isTaking = true;
  // A program may have frozen `globalThis`: it goes without.
  if (!Object.isExtensible(globalThis)) return null;
  const slot = `bsync.namespace-${count++}`;
  Object.defineProperty(globalThis, Symbol.for(slot), {
    configurable: true,
    value: (namespace: object) => void (taken = namespace),
  });
  const [outer, inner] = [`bsync:outer-${count}`, `bsync:inner-${count}`];
  const quoted = (text: string) => JSON.stringify(text);
  Bun.plugin({
    name: slot,
    setup(build) {
      const module = (...lines: string[]) => ({
        contents: lines.join("\n"),
        loader: "js" as const,
      });
      build.module(outer, () =>
        module(
          `import ${quoted(inner)};`,
          `import * as namespace from ${quoted(path)};`,
          "export function peek() { return namespace; }",
        ),
      );
      build.module(inner, () =>
        module(
          `import { peek } from ${quoted(outer)};`,
          `globalThis[Symbol.for(${quoted(slot)})](peek());`,
        ),
      );
      // A module that is not loaded yet must not be loaded by this: it would run again.
      build.onLoad({ filter: new RegExp(`^${RegExp.escape(path)}$`) }, async () => {
        if (isTaking) throw new Error(`${path} is not being evaluated`);
        const contents = textFor(path) ?? (await Bun.file(path).text());
        return { contents, loader: languageOf(path) ?? "tsx" };
      });
    },
  });
  try {
    requireIn(outer);
  } catch {
    // The module awaits, so its importer cannot be had at once; the namespace was taken before.
  }
  isTaking = false;
  Reflect.deleteProperty(globalThis, Symbol.for(slot));
  return taken;
}
