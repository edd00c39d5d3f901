import { addStop } from "../os/failure.ts";
import { clearTimeout, setTimeout } from "../os/natives.ts";
import { exitOnceWritten } from "../os/output.ts";
import { AFTER_STOP_MS } from "../os/waits.ts";
import { isCalledAtAll, moduleRunAgain } from "./callers.ts";
import { reachedOpen } from "./main-script.ts";

/**
 * How a worker's run of the main script ends at a call that communicates. The call cannot but
 * throw, and the program may catch that, as in `main().catch(() => process.exit(1))`: what it does
 * then about a failure that is none must not end the worker, nor be told of.
 */

/** The main script was stopped just now: what it has started may go on. */
let isAfter = false;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Whether what that has started is likely to run. */
export function isAfterStop(): boolean {
  return isAfter;
}

const { exit } = process;

/** The process is the program's own again. */
export function endAfterStop(): void {
  if (timer !== undefined) process.exit = exit;
}

/**
 * Ends the run of the main script. `call` is what it goes no further than; `isTask` tells whose
 * code runs.
 */
export function stopMain(error: Error, call: string, isTask: () => boolean): never {
  addStop(error);
  isAfter = true;
  clearTimeout(timer);
  timer = setTimeout(() => (isAfter = false), AFTER_STOP_MS);
  timer.unref();
  process.exit = (code) => {
    // Of `() => process.exit(1)` there is no frame: the engine drops that of a function that
    // returns another's call.
    const isAgain = moduleRunAgain() !== undefined || (isAfter && !isCalledAtAll());
    if (isAgain && !isTask()) throw error;
    return exitOnceWritten(Number(code ?? process.exitCode ?? 0));
  };
  reachedOpen(call);
  throw error;
}
