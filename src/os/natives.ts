/**
 * What bsync calls of the runtime, as it was when bsync was loaded. A program replaces globals
 * later: test runners do so with timers and clocks, libraries with promises, tasks with whatever
 * they like. What the pool waits by is none of theirs. Files that use one of these import it under
 * the name of the global, and read as ever.
 */
export const {
  clearImmediate,
  clearInterval,
  clearTimeout,
  Date,
  Promise,
  queueMicrotask,
  setImmediate,
  setInterval,
  setTimeout,
} = globalThis;

const { now } = globalThis.performance;
const { add, compareExchange, exchange, load, notify, store, wait } = globalThis.Atomics;
const { parse, stringify } = globalThis.JSON;

export const performance = Object.freeze({ now });
export const Atomics = Object.freeze({ add, compareExchange, exchange, load, notify, store, wait });
export const JSON = Object.freeze({ parse, stringify });

export const crypto = Object.freeze({
  getRandomValues: globalThis.crypto.getRandomValues.bind(globalThis.crypto),
  randomUUID: globalThis.crypto.randomUUID.bind(globalThis.crypto),
});

export const { isError } = Error;
export const { setPrototypeOf } = Object;

/** What else is called of `process`: tests replace these, to see what a program does to others. */
export const own = Object.freeze({
  kill: process.kill.bind(process) as typeof process.kill,
  nextTick: process.nextTick.bind(process) as typeof process.nextTick,
  off: process.off.bind(process) as typeof process.off,
  on: process.on.bind(process) as typeof process.on,
  once: process.once.bind(process) as typeof process.once,
});

/** `process.memoryUsage.rss`. */
export const { rss } = process.memoryUsage;

/** `Promise.withResolvers`. */
export const newPromise = Promise.withResolvers.bind(Promise) as <T>() => PromiseWithResolvers<T>;

/** `Promise.resolve`. */
export const toPromise = Promise.resolve.bind(Promise) as (value: unknown) => Promise<unknown>;

/**
 * Whether this program is an executable of its own, which takes no flags of Bun's, and is its own
 * runtime.
 */
export function isCompiled(): boolean {
  return mainAtLoad.startsWith("/$bunfs/");
}

/**
 * What this process runs. On a worker that is bsync's own, and `Bun.main` is made the program's
 * later.
 */
export const mainAtLoad = Bun.main;

/**
 * The folder that this process was in; undefined if it was removed. A program goes elsewhere later,
 * too.
 */
export const folderAtLoad = folder();

function folder(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

/** Whether a main script is none, but was given by `bun -e` or on stdin. */
export function isGiven(path: string): boolean {
  return /\/\[(eval|stdin)\]$/.test(path);
}
