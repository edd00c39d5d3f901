import { writeSync } from "node:fs";
import { rejectionMode } from "../os/failure.ts";
import { own } from "../os/natives.ts";
import { countSeen, endUnseen, listenUnseen } from "../os/unseen.ts";
import { exitProcess } from "../os/processes.ts";
import { setRole, tellStray, textOf, whence, whoAmI } from "./stray.ts";
import { isMalformed } from "../wire/layout.ts";

/**
 * What a task leaves behind must not end its worker: a rejection nobody handles, a timer that
 * throws. It is told on stderr, and the worker goes on. A program with handlers of its own is left
 * to them, and to what its flag says of rejections; it does not see those that listen here. `what`:
 * this process, for people. Returns what makes it end by such an error again.
 */
export function surviveStrayErrors(what: string): () => void {
  setRole(what);
  const mode = rejectionMode();
  const onException = (error: unknown, origin: string) => {
    if (countSeen("uncaughtException") > 0) return;
    if (origin !== "unhandledRejection" || mode === "strict" || mode === "throw") {
      return tellStray(error);
    }
    // Any other rejection has a listener, or comes to nothing: this is that of the main module. A
    // rank may be a controller, too, and have a program that fails.
    console.error(error);
    exitProcess(1);
  };
  const onRejection = (error: unknown) => {
    if (countSeen("unhandledRejection") === 0) tellStray(error);
  };
  listenUnseen("uncaughtException", onException, true);
  if (mode === "bun") listenUnseen("unhandledRejection", onRejection, true);
  return () => {
    endUnseen("uncaughtException", onException);
    endUnseen("unhandledRejection", onRejection);
  };
}

/**
 * Calls what is bsync's own part in this process, where nobody else would catch what it throws.
 * That can be anything, as where a task has changed what all code is made of; then nothing can be
 * relied on here any more, and the process ends: its controller knows what to do about that, while
 * it would wait for ever for one that lives. What a peer has sent that makes no sense is for its
 * link to judge.
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
    const who =
      `bsync: ${whoAmI()} ends${whence()}, since something that it needs ` + "itself has thrown";
    writeSync(2, `${who} (has a task changed a builtin?): ${textOf(error)}\n`);
  } catch {
    // That could not be told, either.
  }
  return exitProcess(1);
}

const left = new Set<string>();

function ignore(): void {}

/**
 * Signals that are for the controller to understand: this process ignores them from now on. A
 * program sees who listens there: what it, or a library, does where nobody else handles a signal is
 * not to be done, for the worker goes on.
 */
export function ignoreSignals(signals: readonly string[]): void {
  for (const signal of signals) {
    if (left.has(signal)) continue;
    left.add(signal);
    own.on(signal, ignore);
  }
}

/** They mean again what they meant before. */
export function restoreSignals(): void {
  for (const signal of left) own.off(signal, ignore);
  left.clear();
}
