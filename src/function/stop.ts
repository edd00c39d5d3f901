import { exitProcess, setExitCode } from "../processes.ts";
import { reachedOpen } from "./scope.ts";

/**
 * How a worker's run of the main script ends at a call that communicates. The call cannot but throw, and the
 * program may catch that, as in `main().catch(() => process.exit(1))`: what it does then about a failure that is
 * none must not end the worker, nor be told of.
 */

/** ms for which a program may do something about it. */
const AFTERMATH_MS = 1_000;

const stops = new WeakSet<Error>();

/** Whether somebody throws what `stopMain` has thrown. */
export function isStop(error: unknown): boolean {
  return error instanceof Error && stops.has(error);
}

let restore: (() => void) | null = null;

/** The process is the program's own again: what it says of its exit counts. */
export function endAftermath(): void {
  restore?.();
  restore = null;
}

/** Ends the run of the main script. `call` is what it goes no further than; `isTask` tells whose code runs. */
export function stopMain(error: Error, call: string, isTask: () => boolean): never {
  stops.add(error);
  endAftermath();
  const { exit, exitCode } = process;
  process.exit = (code) => {
    if (isTask()) exitProcess(Number(code ?? process.exitCode ?? 0));
    throw error;
  };
  restore = () => {
    process.exit = exit;
    setExitCode(exitCode);
  };
  setTimeout(endAftermath, AFTERMATH_MS).unref();
  reachedOpen(call);
  throw error;
}
