import { hasFailed, rejectionMode, noteFailed, isStop } from "./failure.ts";
import { mainAtLoad, newPromise, setTimeout } from "./natives.ts";
import { countAll, endUnseen, listenUnseen } from "./unseen.ts";
import { FAILED_MS } from "./waits.ts";
import { exitProcess } from "./processes.ts";

/**
 * Notices that an uncaught error has failed the program. Bun and the program's own handlers decide
 * what follows, as without a pool. In two respects that does not suffice for bsync:
 *
 * - after a rejection Bun ends with 1, but reports 0 to listeners of `exit`, where the other ranks
 *   need the true code;
 * - it goes on while the main module awaits anything. The code that would settle that may be what
 *   failed, and other processes wait as well.
 */

/** A file that `bun test` runs, with its `NODE_ENV`; a program that a test starts inherits that. */
const IS_TEST_RUN =
  process.env.NODE_ENV === "test" && /[._](test|spec)\.[cm]?[jt]sx?$/.test(mainAtLoad);

/** Each tells whether other processes depend on this one. */
const holders = new Set<() => boolean>();

/**
 * Called at the end of this process even if a listener of `exit` throws, and others are not called.
 */
const lastActions = new Set<(code: number) => void>();

/**
 * From now on an uncaught error is seen. It ends the program after some time, if it has not ended
 * by itself and `isHeld` says that other processes depend on it. `atExit` is a listener of `exit`,
 * which may be called twice. In a test run errors are the test runner's.
 */
export function watchUncaught(isHeld: () => boolean, atExit: (code: number) => void): void {
  holders.add(isHeld);
  lastActions.add(atExit);
  // A Worker's errors are for its parent to handle.
  if (holders.size > 1 || IS_TEST_RUN || !Bun.isMainThread) return;
  listenUnseen("uncaughtExceptionMonitor", onException);
  if (rejectionMode() === "bun") listenUnseen("unhandledRejection", onRejection, true);
}

/** The exit code of this process, in its `exit` event, if that reports `code`. */
export function exitCodeFor(code: number): number {
  return hasFailed && !isExiting() ? 1 : code;
}

/** Listening to this event changes nothing, unlike the others. */
function onException(error: unknown): void {
  const isCaught =
    countAll("uncaughtException") > 0 || process.hasUncaughtExceptionCaptureCallback();
  if (isCaught || isStop(error)) return;
  fail();
  // Node and Bun: true while `exit` handlers run.
  if ((process as { _exiting?: boolean })._exiting === true)
    for (const action of lastActions) action(1);
}

/**
 * Nobody can listen to this event without catching the rejection: it is rejected again, unheard.
 */
function onRejection(error: unknown): void {
  if (countAll("unhandledRejection") > 1 || isStop(error)) return;
  endUnseen("unhandledRejection", onRejection);
  fail();
  newPromise<never>().reject(error);
}

function fail(): void {
  if (hasFailed) return;
  noteFailed();
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
 * Whether `process.exit` has led to this `exit` event: the engine's own function is on the stack.
 */
function isExiting(): boolean {
  const { stackTraceLimit, prepareStackTrace } = EngineError;
  try {
    // The program may format stacks in its own way.
    Object.assign(EngineError, { stackTraceLimit: Infinity, prepareStackTrace: undefined });
    return /^\s+at exit \((unknown|native)/m.test(new EngineError().stack ?? "");
  } catch {
    return true;
  } finally {
    Object.assign(EngineError, { stackTraceLimit, prepareStackTrace });
  }
}
