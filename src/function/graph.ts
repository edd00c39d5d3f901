import { RUNS_PROGRAM } from "./paths.ts";

/**
 * The modules that are loaded for the functions in them: in a process that was started as a worker
 * its own; on a rank, which has run the main script itself, a graph of their own beside those of
 * that run.
 */

/** What is loaded, by path. Reading an entry of a module that failed to load throws. */
export type Loaded = Readonly<Record<string, { readonly exports: unknown } | undefined>>;

// On `globalThis`: a bundled program brings a bsync of its own into the graph.
const slot = Symbol.for("bsync.graph");
interface Beside {
  graph: Bun.ModuleGraph | null;
  loaded: Loaded | null;
}
const holder = globalThis as { [slot]?: Beside };
const beside = (holder[slot] ??= { graph: null, loaded: null });

/** From now on there is a graph beside the program's own run. */
export function setGraph(made: Bun.ModuleGraph): void {
  beside.graph = made;
}

/** What is loaded in that graph. */
export function setLoaded(modules: Loaded): void {
  beside.loaded = modules;
}

export function hasGraph(): boolean {
  return beside.graph !== null;
}

/** Calls a function as one of the graph's would be called from within, if there is one. */
export function runInGraph<T>(fn: () => T): T {
  return beside.graph === null ? fn() : beside.graph.run(fn);
}

/**
 * Whether the code that runs belongs to the modules that are loaded here for the functions in them.
 */
export function isInGraph(): boolean {
  const { graph } = beside;
  return !RUNS_PROGRAM || (graph !== null && Bun.ModuleGraph.current === graph);
}

/** What is loaded in this process: for the functions in it, and by the program's own run. */
export function loadedModules(): readonly Loaded[] {
  const { loaded } = beside;
  return loaded === null ? [require.cache] : [loaded, require.cache];
}

/** What a module that is loaded exports; undefined where it is not loaded. */
export function exportsOf(path: string): unknown {
  for (const modules of loadedModules()) {
    try {
      const module = modules[path];
      if (module !== undefined) return module.exports;
    } catch {
      // A module that failed to load.
    }
  }
  return undefined;
}

/** The paths of all modules that are loaded, as the runtime has them. */
export function loadedPaths(): string[] {
  return loadedModules().flatMap((modules) => Object.keys(modules));
}
