import { hasFailed, rejectionMode, tellFailed, isStop } from "./failure.ts";
import { mainAtLoad, newPromise, setTimeout } from "./natives.ts";
import { countAll, endUnseen, listenUnseen } from "./unseen.ts";
import { FAILED_MS } from "./waits.ts";
import { exitProcess } from "./processes.ts";

/**
 * Sees that the program has failed by an error nobody caught. What comes of that is Bun's to say,
 * and the program's own handlers: it is the same as without a pool. Two things are not for Bun to
 * know:
 *
 * - after a rejection it ends with 1, but tells listeners of `exit` a 0, where the other ranks are
 *   to hear the truth;
 * - it goes on while the main module awaits anything. What that waits for may never come, since
 *   what was to bring it has failed, and other processes wait with it.
 */

/** What `bun test` runs, and sets `NODE_ENV` for; a program that a test starts inherits that. */
const IS_TEST_RUN =
  process.env.NODE_ENV === "test" && /[._](test|spec)\.[cm]?[jt]sx?$/.test(mainAtLoad);

/** Each says whether other processes depend on this one. */
const holders = new Set<() => boolean>();

/**
 * What is to be done at the end of this process also where a listener of `exit` throws, and others
 * are not called.
 */
const lastDeeds = new Set<(code: number) => void>();

/**
 * From now on what nobody catches is seen, and ends the program after some time where it has not
 * ended by itself, if `isHeld` says then that other processes depend on it. `atExit` is a listener
 * of `exit`, which may be called twice. In a test run errors are the test runner's.
 */
export function watchUncaught(isHeld: () => boolean, atExit: (code: number) => void): void {
  holders.add(isHeld);
  lastDeeds.add(atExit);
  // What a Worker throws is for its parent to hear of.
  if (holders.size > 1 || IS_TEST_RUN || !Bun.isMainThread) return;
  listenUnseen("uncaughtExceptionMonitor", onException);
  if (rejectionMode() === "bun") listenUnseen("unhandledRejection", onRejection, true);
}

/** What the process ends with, in its `exit` event, where that is told `code`. */
export function exitCodeFor(code: number): number {
  return hasFailed && !isExiting() ? 1 : code;
}

/** It changes nothing that somebody listens to that: other than to the others. */
function onException(error: unknown): void {
  const isCaught =
    countAll("uncaughtException") > 0 || process.hasUncaughtExceptionCaptureCallback();
  if (isCaught || isStop(error)) return;
  fail();
  // Of Node's, and Bun's: true while `exit` handlers run.
  if ((process as { _exiting?: boolean })._exiting === true) for (const deed of lastDeeds) deed(1);
}

/**
 * Nobody can listen to that without catching it; so it is rejected once more, with nobody there.
 */
function onRejection(error: unknown): void {
  if (countAll("unhandledRejection") > 1 || isStop(error)) return;
  endUnseen("unhandledRejection", onRejection);
  fail();
  newPromise<never>().reject(error);
}

function fail(): void {
  if (hasFailed) return;
  tellFailed();
  setTimeout(giveUp, FAILED_MS).unref();
}

function giveUp(): void {
  for (const isHeld of holders) {
    if (!isHeld()) continue;
    process.stderr.write(
      "bsync: the program has failed by the error above, which nobody caught, and has not ended " +
        `${FAILED_MS / 1_000} s later, while its workers wait for it: it ends now, with exit ` +
        "code 1\n",
    );
    return exitProcess(1);
  }
}

const EngineError = Error;

/**
 * Whether `process.exit` has led to this `exit` event: the engine's own function is among those
 * that are called.
 */
function isExiting(): boolean {
  const { stackTraceLimit, prepareStackTrace } = EngineError;
  try {
    // The program may print stacks in a way of its own.
    Object.assign(EngineError, { stackTraceLimit: Infinity, prepareStackTrace: undefined });
    return /^\s+at exit \((unknown|native)/m.test(new EngineError().stack ?? "");
  } catch {
    return true;
  } finally {
    Object.assign(EngineError, { stackTraceLimit, prepareStackTrace });
  }
}
