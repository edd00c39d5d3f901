import { writeSync } from "node:fs";
import { isStop } from "../function/stop.ts";
import { isLeave } from "../os/output.ts";
import { exitProcess } from "../processes.ts";
import { isMalformed } from "../wire.ts";

/**
 * What a task leaves behind must not end its worker: a rejection nobody handles, a timer that
 * throws. It is told on stderr, as it would be in a program of its own, and the worker goes on. Returns
 * what makes it end its process again.
 */
export function surviveStrayErrors(name: string): () => void {
  const tell = (error: unknown) => {
    if (isStop(error) || isLeave(error)) return;
    const text = error instanceof Error ? (error.stack ?? String(error)) : Bun.inspect(error);
    process.stderr.write(`bsync: ${name}: an error outside of any task: ${text}\n`);
  };
  const onException = (error: unknown, origin: string) => {
    // There is a listener for rejections: only that of the main module comes here. A rank may be a
    // controller, too, and have a program that fails.
    if (origin !== "unhandledRejection") return tell(error);
    console.error(error);
    exitProcess(1);
  };
  process.on("uncaughtException", onException);
  process.on("unhandledRejection", tell);
  return () => {
    process.off("uncaughtException", onException);
    process.off("unhandledRejection", tell);
  };
}

/**
 * Calls what is bsync's own part in this process, where nobody else would catch what it throws. That can be anything, as
 * where a task has changed what all code is made of; then nothing can be relied on here any more, and the process ends:
 * its controller knows what to do about that, while it would wait for ever for one that lives. What a peer has sent
 * that makes no sense is for its link to judge.
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
    const text = error instanceof Error ? (error.stack ?? String(error)) : Bun.inspect(error);
    const who = `bsync: the worker of pid ${process.pid} ends, since something that it needs itself has thrown`;
    writeSync(2, `${who} (has a task changed a builtin?): ${text}\n`);
  } catch {
    // That could not be told, either.
  }
  return exitProcess(1);
}

const left = new Set<string>();

function ignore(): void {}

/** Signals that are for the controller to understand: this process ignores them from now on. */
export function leaveToController(signals: readonly string[]): void {
  for (const signal of signals) {
    if (left.has(signal)) continue;
    left.add(signal);
    process.on(signal, ignore);
  }
}

/** They mean again what they meant before. */
export function takeSignalsBack(): void {
  for (const signal of left) process.off(signal, ignore);
  left.clear();
}
