import { mainAtLoad } from "../os/natives.ts";
import { isInGraph, loadedPaths } from "./graph.ts";
import { mainScript } from "./main-script.ts";
import { isOwnFile, plainPath, RUNS_PROGRAM } from "./paths.ts";
import { bundleOf } from "./source-map.ts";

/** The program's modules that are calling into bsync now, read from the stack. */
export interface Caller {
  /** The module that runs: for a bundle the bundle itself, whatever its source map says. */
  readonly module: string;
  /** Where the stack places the call: in the module, or in the source it was bundled from. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly name: string;
}

/** Whether the main script is among the callers. */
export function calledByMain(): boolean {
  return callers().some(({ module }) => module === mainScript());
}

/**
 * Whether the main script is calling in this process's own run. That run may go on while modules
 * are loaded for their functions: a rank can serve one pool and take part in another.
 */
export function calledByProgram(): boolean {
  return RUNS_PROGRAM && !isInGraph() && callers().some(({ module }) => module === mainAtLoad);
}

/**
 * The module that calls into bsync in a run for its functions: from its top level, or from code
 * that the top level started. Undefined in the program's own run. Ask only outside of tasks.
 */
export function moduleRunAgain(): string | undefined {
  return isInGraph() ? callers().at(-1)?.module : undefined;
}

/**
 * Whether any code of the program, in either run, is calling into bsync, as far as the stack shows.
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

/** The frames of the stack; none where the program has frozen `Error`. */
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

/** The module of a file in a stack: the file itself, or a loaded bundle that was made from it. */
function moduleOf(file: string): string {
  if (file === mainAtLoad || file === mainScript()) return file;
  let module = modulesOfFiles.get(file);
  if (module === undefined) {
    const loaded = loadedPaths().map(plainPath);
    // A module that is not loaded is being evaluated.
    module = loaded.includes(file) ? file : (bundleOf(file, [mainAtLoad, ...loaded]) ?? file);
    modulesOfFiles.set(file, module);
  }
  return module;
}

const modulesOfFiles = new Map<string, string>();
