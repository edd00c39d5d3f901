import { mainAtLoad } from "../os/natives.ts";

/**
 * On a worker: the run of the program's modules for their functions, and how far the main script's
 * run has come. This state is the program's, however many copies of bsync it has: a bundled program
 * brings its own.
 */
interface Run {
  /** How many modules are being loaded. */
  loading: number;
  /** Whether any module was ever loaded. */
  hasBegun: boolean;
  /** The program's main script. */
  main: string | null;
  /** The main script's text, if it was given by `bun -e`. */
  text: string | null;
  /** Called when a module comes to a pool while others are loaded: one for each of these loads. */
  readonly onPool: Set<OnPool>;
  /** Modules whose top level waits for a pool, which never opens here. */
  readonly waiting: Set<string>;
  /**
   * The call at which the main script's run ends: `AsyncPool.open`, or one that communicates; null:
   * not reached yet.
   */
  end: string | null;
}

/** Called with the module that came to a pool. */
type OnPool = (module: string) => void;

const slot = Symbol.for("bsync.run");
const holder = globalThis as { [slot]?: Run };
const run = (holder[slot] ??= {
  loading: 0,
  hasBegun: false,
  main: null,
  text: null,
  onPool: new Set(),
  waiting: new Set(),
  end: null,
});

/** The program's main script: on a worker, that of the process whose pool it serves. */
export function mainScript(): string {
  return run.main ?? mainAtLoad;
}

/** The text of a main script that was given by `bun -e`; null for any other. */
export function mainText(): string | null {
  if (run.main !== null) return run.text;
  // Node and Bun have this property.
  return (process as { _eval?: string })._eval ?? null;
}

/** Whether this process is a worker of a program. */
export function isWorker(): boolean {
  return run.main !== null;
}

/** Makes this process a worker of the program with this main script; null: of none any more. */
export function setMainScript(path: string | null, text: string | null = null): void {
  run.main = path;
  run.text = text;
}

/** Runs a module by `start`; `onPool` is called when any module comes to a pool meanwhile. */
export async function runModule(start: () => Promise<void>, onPool: OnPool): Promise<void> {
  run.onPool.add(onPool);
  run.loading++;
  run.hasBegun = true;
  try {
    await start();
  } finally {
    run.loading--;
    run.onPool.delete(onPool);
  }
}

/**
 * Runs a CommonJS module as a non-main module: on a worker `require.main` is no module of the
 * program.
 */
export function asNoMain<T>(load: () => T): T {
  const bun = Bun as { main: string };
  const { main } = bun;
  if (main === mainAtLoad) return load();
  bun.main = mainAtLoad;
  try {
    return load();
  } finally {
    bun.main = main;
  }
}

/**
 * Whether code of a module's run for its functions may be running: while a module is loaded and, as
 * a top level starts work that goes on after it, until the main script's run has ended.
 */
export function mayRunAgain(): boolean {
  return run.loading > 0 || (run.end === null && run.hasBegun);
}

/**
 * True while a module is loaded for its functions: `AsyncPool.open` must not open anything then.
 */
export function isLoading(): boolean {
  return run.loading > 0;
}

/**
 * The main script has come to `AsyncPool.open`, or to another call that ends its run here: a worker
 * needs no more of it.
 */
export function reachedOpen(end = "AsyncPool.open"): void {
  run.end ??= end;
  reachedPool(mainScript());
}

/** A module that is being loaded has come to a pool, which does not open here: it stops. */
export function reachedPool(module: string): void {
  run.waiting.add(module);
  for (const onPool of run.onPool) onPool(module);
}

/** The modules that stopped at a pool. */
export function modulesAtPools(): ReadonlySet<string> {
  return run.waiting;
}

/** The call at which the main script's run ended here; null if the run did not stop at one. */
export function endOfMain(): string | null {
  return run.end;
}
