/**
 * The runtime's functions that bsync calls, as they were when bsync was loaded. Programs replace
 * globals later: test runners replace timers and clocks, libraries promises, tasks anything. The
 * pool must not wait by replacements. Files import these by the names of the globals, and read as
 * ever.
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

const { now, timeOrigin } = globalThis.performance;
const { add, compareExchange, exchange, load, notify, store, wait } = globalThis.Atomics;
const { parse, stringify } = globalThis.JSON;

export const performance = Object.freeze({ now, timeOrigin });
export const Atomics = Object.freeze({ add, compareExchange, exchange, load, notify, store, wait });
export const JSON = Object.freeze({ parse, stringify });

export const crypto = Object.freeze({
  getRandomValues: globalThis.crypto.getRandomValues.bind(globalThis.crypto),
  randomUUID: globalThis.crypto.randomUUID.bind(globalThis.crypto),
});

export const { isError } = Error;
export const { setPrototypeOf } = Object;

/** Other functions of `process`: tests replace these, to see what a program does to others. */
export const own = Object.freeze({
  kill: process.kill.bind(process) as typeof process.kill,
  nextTick: process.nextTick.bind(process) as typeof process.nextTick,
  off: process.off.bind(process) as typeof process.off,
  on: process.on.bind(process) as typeof process.on,
  once: process.once.bind(process) as typeof process.once,
});

/** `process.memoryUsage.rss`. */
export const { rss } = process.memoryUsage;

/** `process.cpuUsage`. */
export const cpuUsage = process.cpuUsage.bind(process);

/** `Promise.withResolvers`. */
export const newPromise = Promise.withResolvers.bind(Promise) as <T>() => PromiseWithResolvers<T>;

/** `Promise.resolve`. */
export const toPromise = Promise.resolve.bind(Promise) as (value: unknown) => Promise<unknown>;

/**
 * Whether this program is a compiled executable: it takes no flags of Bun's, and is its own
 * runtime.
 */
export function isCompiled(): boolean {
  return mainAtLoad.startsWith("/$bunfs/");
}

/**
 * The script that this process runs. On a worker that is bsync's own; `Bun.main` is set to the
 * program's later.
 */
export const mainAtLoad = Bun.main;

/**
 * The folder of this process at load; undefined if it was removed. A program may change it later.
 */
export const folderAtLoad = folder();

function folder(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}

/** Whether the main script is no file, but was given by `bun -e` or on stdin. */
export function isGiven(path: string): boolean {
  return /\/\[(eval|stdin)\]$/.test(path);
}
