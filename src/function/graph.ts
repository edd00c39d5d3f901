import { RUNS_PROGRAM } from "./paths.ts";

/**
 * The modules that are loaded for their functions. A process that was started as a worker loads
 * them into its own graph. A rank has run the main script itself: there they form a second graph,
 * beside the modules of that run.
 */

/** Loaded modules by path. Reading the entry of a module that failed to load throws. */
export type Loaded = Readonly<Record<string, { readonly exports: unknown } | undefined>>;

// On `globalThis`: a bundled program brings its own copy of bsync into the graph.
const slot = Symbol.for("bsync.graph");
interface Beside {
  graph: Bun.ModuleGraph | null;
  loaded: Loaded | null;
}
const holder = globalThis as { [slot]?: Beside };
const beside = (holder[slot] ??= { graph: null, loaded: null });

/** Sets the graph beside the program's own run. */
export function setGraph(made: Bun.ModuleGraph): void {
  beside.graph = made;
}

/** Sets the modules that are loaded in that graph. */
export function setLoaded(modules: Loaded): void {
  beside.loaded = modules;
}

export function hasGraph(): boolean {
  return beside.graph !== null;
}

/** Calls a function as if from within the graph, if there is one. */
export function runInGraph<T>(fn: () => T): T {
  return beside.graph === null ? fn() : beside.graph.run(fn);
}

/** Whether the running code belongs to the modules that are loaded for their functions. */
export function isInGraph(): boolean {
  const { graph } = beside;
  return !RUNS_PROGRAM || (graph !== null && Bun.ModuleGraph.current === graph);
}

/**
 * All modules of this process: those loaded for their functions, and those of the program's run.
 */
export function loadedModules(): readonly Loaded[] {
  const { loaded } = beside;
  return loaded === null ? [require.cache] : [loaded, require.cache];
}

/** The exports of a loaded module; undefined if it is not loaded. */
export function exportsOf(path: string): unknown {
  for (const modules of loadedModules()) {
    try {
      const module = modules[path];
      if (module !== undefined) return module.exports;
    } catch {
      // a module that failed to load
    }
  }
  return undefined;
}

/** The paths of all loaded modules, as the runtime has them. */
export function loadedPaths(): string[] {
  return loadedModules().flatMap((modules) => Object.keys(modules));
}
