import { addStop } from "../os/failure.ts";
import { clearTimeout, setTimeout } from "../os/natives.ts";
import { exitOnceWritten } from "../os/output.ts";
import { AFTER_STOP_MS } from "../os/waits.ts";
import { isCalledAtAll, moduleRunAgain } from "./callers.ts";
import { reachedOpen } from "./main-script.ts";

/**
 * How a worker's run of the main script ends at a call that communicates. The call has to throw,
 * and the program may catch the error, as in `main().catch(() => process.exit(1))`. Such a reaction
 * to a failure that is none must neither end the worker nor be reported.
 */

/** The main script was stopped just now: code that it started may still run. */
let isAfter = false;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Whether code that the stopped script started is likely to run. */
export function isAfterStop(): boolean {
  return isAfter;
}

const { exit } = process;

/** Gives the process back to the program. */
export function endAfterStop(): void {
  if (timer !== undefined) process.exit = exit;
}

/** Ends the run of the main script at `call`. `isTask` tells whether a task's code is running. */
export function stopMain(error: Error, call: string, isTask: () => boolean): never {
  addStop(error);
  isAfter = true;
  clearTimeout(timer);
  timer = setTimeout(() => (isAfter = false), AFTER_STOP_MS);
  timer.unref();
  process.exit = (code) => {
    // `() => process.exit(1)` leaves no frame: the engine drops the frame of a function that
    // returns another's call.
    const isAgain = moduleRunAgain() !== undefined || (isAfter && !isCalledAtAll());
    if (isAgain && !isTask()) throw error;
    return exitOnceWritten(Number(code ?? process.exitCode ?? 0));
  };
  reachedOpen(call);
  throw error;
}
