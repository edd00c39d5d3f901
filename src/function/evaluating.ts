/**
 * What modules export that are still being evaluated, as the main script is while it awaits: the
 * cache does not list them, and to import one is to wait for its end. But a module that imports
 * its namespace is linked at once, and before it waits what it imports itself is evaluated: that
 * hands the namespace over.
 */
import { JSON, mainAtLoad } from "../os/natives.ts";
import { isWorker } from "./main-script.ts";
import { importedModules, languageOf } from "./module-text.ts";

/** A file, or the one module of a compiled program. */
const SOURCE = /^\/(.*\.[cm]?[jt]sx?|\$bunfs\/.*)$/;

/** By path; null: it cannot be had, or is none that is being evaluated. */
const namespaces = new Map<string, object | null>();

/**
 * Undefined for a module that the cache has, and for one that was not loaded with the main script.
 */
export function exportsOfEvaluating(path: string): object | undefined {
  let namespace = namespaces.get(path);
  if (namespace === undefined) {
    if (require.cache[path] !== undefined || !isLoaded(path)) return undefined;
    namespace = takeNamespace(path, require);
    namespaces.set(path, namespace);
  }
  return namespace ?? undefined;
}

/**
 * Whether a module is loaded for certain, in this process's own run: with the main script, which
 * imports it.
 */
function isLoaded(path: string): boolean {
  // A worker has the names of the modules it has loaded within reach, and is to load more of them.
  if (isWorker() || !SOURCE.test(mainAtLoad) || !SOURCE.test(path)) return false;
  if (path === mainAtLoad) return true;
  if (path.includes("/node_modules/") || require.cache[mainAtLoad] !== undefined) return false;
  importedByMain ??= importsFrom(mainAtLoad, new Set());
  return importedByMain.has(path);
}

let importedByMain: Set<string> | null = null;

/** The program's own modules that a module imports before it runs, by whatever way. */
function importsFrom(path: string, found: Set<string>): Set<string> {
  for (const target of importedModules(path)) {
    if (!SOURCE.test(target) || target.includes("/node_modules/") || found.has(target)) continue;
    found.add(target);
    importsFrom(target, found);
  }
  return found;
}

let count = 0;

/**
 * The namespace of a module that is being evaluated; null for any other. `requireIn` requires where
 * that module is.
 */
export function takeNamespace(
  path: string,
  requireIn: (specifier: string) => unknown,
): object | null {
  let taken: object | null = null;
  let isTaking = true;
  // A program may have frozen it, and goes without.
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
      // Were it not loaded, it must not be: it would run again.
      build.onLoad({ filter: new RegExp(`^${RegExp.escape(path)}$`) }, async () => {
        if (isTaking) throw new Error(`${path} is not being evaluated`);
        return { contents: await Bun.file(path).text(), loader: languageOf(path) ?? "tsx" };
      });
    },
  });
  try {
    requireIn(outer);
  } catch {
    // As it awaits, what imports it cannot be had at once; what was to be taken was taken before.
  }
  isTaking = false;
  Reflect.deleteProperty(globalThis, Symbol.for(slot));
  return taken;
}
