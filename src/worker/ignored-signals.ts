import { writeSync } from "node:fs";
import { rejectionMode } from "../os/failure.ts";
import { own } from "../os/natives.ts";
import { countSeen, endUnseen, listenUnseen } from "../os/unseen.ts";
import { exitProcess } from "../os/processes.ts";
import { setRole, reportStray, textOf, whence, whoAmI } from "./stray-errors.ts";
import { isMalformed } from "../wire/frame-layout.ts";

/**
 * Errors that a task leaves behind must not end its worker: a rejection nobody handles, a timer
 * that throws. They are reported on stderr, and the worker goes on. A program's own handlers have
 * precedence, and so has its flag for rejections; it does not see the listeners made here. `what`:
 * this process, for people. Returns what makes it end by such an error again.
 */
export function surviveStrayErrors(what: string): () => void {
  setRole(what);
  const mode = rejectionMode();
  const onException = (error: unknown, origin: string) => {
    if (countSeen("uncaughtException") > 0) return;
    if (origin !== "unhandledRejection" || mode === "strict" || mode === "throw") {
      return reportStray(error);
    }
    // Any other rejection has a listener, or comes to nothing: this is that of the main module. A
    // rank may be a controller, too, and have a program that fails.
    console.error(error);
    exitProcess(1);
  };
  const onRejection = (error: unknown) => {
    if (countSeen("unhandledRejection") === 0) reportStray(error);
  };
  listenUnseen("uncaughtException", onException, true);
  if (mode === "bun") listenUnseen("unhandledRejection", onRejection, true);
  return () => {
    endUnseen("uncaughtException", onException);
    endUnseen("unhandledRejection", onRejection);
  };
}

/**
 * Calls bsync's own part in this process, where nobody else would catch its errors. One can come
 * from anywhere, as where a task has changed a builtin; then nothing can be relied on here any
 * more, and the process ends: its controller can handle that, while it would wait for ever for a
 * process that lives. Malformed messages of a peer are for its link to judge.
 */
export function guarded<T>(deed: () => T): T {
  try {
    return deed();
  } catch (error) {
    if (isMalformed(error)) throw error;
    return endWorker(error);
  }
}

/** Ends this process, since bsync's own part in it has failed. */
export function endWorker(error: unknown): never {
  try {
    const who = `bsync: ${whoAmI()} ends${whence()}, since bsync's own code there has thrown`;
    writeSync(2, `${who} (has a task changed a builtin?): ${textOf(error)}\n`);
  } catch {
    // That could not be written, either.
  }
  return exitProcess(1);
}

const left = new Set<string>();

function ignore(): void {}

/**
 * This process ignores these signals from now on: the controller handles them. The listeners are
 * visible, so that a program or a library with a default for unhandled signals does not run it: the
 * worker goes on.
 */
export function ignoreSignals(signals: readonly string[]): void {
  for (const signal of signals) {
    if (left.has(signal)) continue;
    left.add(signal);
    own.on(signal, ignore);
  }
}

/** The signals mean again what they meant before. */
export function restoreSignals(): void {
  for (const signal of left) own.off(signal, ignore);
  left.clear();
}
