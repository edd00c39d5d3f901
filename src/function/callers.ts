import { mainAtLoad } from "../os/natives.ts";
import { isInGraph, loadedPaths } from "./graph.ts";
import { mainScript } from "./main-script.ts";
import { isOwnFile, plainPath, RUNS_PROGRAM } from "./paths.ts";
import { bundleOf } from "./source-map.ts";

/** Who has called into bsync just now: modules of the program, as the stack tells. */
export interface Caller {
  /** The module that runs: of a bundle the bundle, whatever its source map says. */
  readonly module: string;
  /**
   * Where the call stands, as the stack tells: in the module, or in the source it was bundled from.
   */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly name: string;
}

/** Whether the main script is among those that have called into bsync just now. */
export function calledByMain(): boolean {
  return callers().some(({ module }) => module === mainScript());
}

/**
 * Whether the main script of this very process has, in its own run: while modules are loaded for
 * their functions, it may go on, where a rank serves one pool and has a part in another.
 */
export function calledByProgram(): boolean {
  return RUNS_PROGRAM && !isInGraph() && callers().some(({ module }) => module === mainAtLoad);
}

/**
 * The module that has called into bsync just now in a run for its functions: from its top level, or
 * from what that has started. Undefined where it was the program's own run. To be asked outside of
 * tasks only.
 */
export function moduleRunAgain(): string | undefined {
  return isInGraph() ? callers().at(-1)?.module : undefined;
}

/**
 * Whether any code of the program's, of whichever run, has called into bsync just now, as far as
 * can be seen.
 */
export function isCalledAtAll(): boolean {
  return callers().length > 0;
}

export function callers(): Caller[] {
  const found: Caller[] = [];
  for (const site of callSites()) {
    const file = plainPath(site.getFileName() ?? "");
    if (!file.startsWith("/") || isOwnFile(file)) continue;
    found.push({
      module: moduleOf(file),
      file,
      line: site.getLineNumber() ?? 1,
      column: site.getColumnNumber() ?? 1,
      name: site.getFunctionName() ?? "",
    });
  }
  return found;
}

const EngineError = Error;
const { captureStackTrace } = Error;

/** The frames of the stack; none where the program has frozen what makes them. */
function callSites(): NodeJS.CallSite[] {
  const { prepareStackTrace, stackTraceLimit } = EngineError;
  const ours = {
    stackTraceLimit: 32,
    prepareStackTrace: (_: Error, sites: NodeJS.CallSite[]) => sites,
  };
  try {
    Object.assign(EngineError, ours);
    const holder: { stack?: NodeJS.CallSite[] } = {};
    captureStackTrace.call(EngineError, holder);
    return Array.isArray(holder.stack) ? holder.stack : [];
  } catch {
    return [];
  } finally {
    if (EngineError.prepareStackTrace === ours.prepareStackTrace) {
      Object.assign(EngineError, { prepareStackTrace, stackTraceLimit });
    }
  }
}

/**
 * The module that a file of a stack belongs to: itself, or a bundle that is loaded and was made
 * from it.
 */
function moduleOf(file: string): string {
  if (file === mainAtLoad || file === mainScript()) return file;
  let module = modulesOfFiles.get(file);
  if (module === undefined) {
    const loaded = loadedPaths().map(plainPath);
    // One that is not loaded is being evaluated.
    module = loaded.includes(file) ? file : (bundleOf(file, [mainAtLoad, ...loaded]) ?? file);
    modulesOfFiles.set(file, module);
  }
  return module;
}

const modulesOfFiles = new Map<string, string>();
