import { mainAtLoad } from "../os/natives.ts";

/**
 * On a worker: the run of the program's modules for the functions in them, and how far that of the
 * main script goes. What it has come to is the program's, however many bsyncs there are in it: a
 * bundled program brings one of its own.
 */
interface Run {
  /** How many modules are being loaded just now. */
  loading: number;
  /** Whether any module ever was. */
  hasBegun: boolean;
  /** The program's main script. */
  main: string | null;
  /** Its text, if it was given by `bun -e`. */
  text: string | null;
  /** What to do when a module comes to a pool while others are loaded, one of each of these. */
  readonly onPool: Set<OnPool>;
  /** Modules that wait at their top levels for a pool that is none. */
  readonly waiting: Set<string>;
  /**
   * What the main script has come to, and goes no further: `AsyncPool.open`, or a call that
   * communicates; null: not yet.
   */
  end: string | null;
}

/** Called with the module that has come to a pool. */
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

/** The program's main script: on a worker, that of the process it works for. */
export function mainScript(): string {
  return run.main ?? mainAtLoad;
}

/** The text of a main script that was given by `bun -e`; null for any other. */
export function mainText(): string | null {
  if (run.main !== null) return run.text;
  // Of Node's, and Bun's.
  return (process as { _eval?: string })._eval ?? null;
}

/** Whether this process serves a program, with that main script, as a worker. */
export function isWorker(): boolean {
  return run.main !== null;
}

/** This process is a worker of a program with that main script; null: of none any more. */
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

/** Runs a CommonJS module as one of many: on a worker `require.main` is none of the program's. */
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
 * Whether code may run here that belongs to a module's run for its functions: while one is loaded,
 * and, as top levels start what goes on after them, until the main script's has come to its end.
 */
export function mayRunAgain(): boolean {
  return run.loading > 0 || (run.end === null && run.hasBegun);
}

/**
 * True while a module is being loaded for its functions: `AsyncPool.open` must not open anything
 * then.
 */
export function isLoading(): boolean {
  return run.loading > 0;
}

/**
 * The main script has come to `AsyncPool.open`, or to another call that ends its run here: what a
 * worker needs of it is there.
 */
export function reachedOpen(end = "AsyncPool.open"): void {
  run.end ??= end;
  reachedPool(mainScript());
}

/** A module that is loaded has come to a pool, which is none here: it goes no further. */
export function reachedPool(module: string): void {
  run.waiting.add(module);
  for (const onPool of run.onPool) onPool(module);
}

/** The modules that go no further. */
export function modulesAtPools(): ReadonlySet<string> {
  return run.waiting;
}

/**
 * The call that the main script was loaded up to here; null where it was not, or has run to its
 * end.
 */
export function endOfMain(): string | null {
  return run.end;
}
