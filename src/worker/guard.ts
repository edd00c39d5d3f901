import { writeSync } from "node:fs";
import { userStack } from "../function/stack.ts";
import { isStop } from "../function/stop.ts";
import { isLeave } from "../os/output.ts";
import { rejectionMode } from "../os/failure.ts";
import { countSeen, endUnseen, listenUnseen } from "../os/unseen.ts";
import { exitProcess } from "../processes.ts";
import { isMalformed } from "../wire.ts";
import { currentCall, latestCalls } from "./context.ts";
import { own } from "../os/natives.ts";

/** What this process is, for people. */
let role = `pid ${process.pid}`;

/**
 * What a task leaves behind must not end its worker: a rejection nobody handles, a timer that throws. It is told on
 * stderr, and the worker goes on. A program with handlers of its own is left to them, and to what its flag says of
 * rejections; it does not see those that listen here. `what` this process is is told with them. Returns what makes this process end by
 * such an error again.
 */
export function surviveStrayErrors(what: string): () => void {
  role = `${what}, pid ${process.pid}`;
  const mode = rejectionMode();
  const onException = (error: unknown, origin: string) => {
    if (countSeen("uncaughtException") > 0) return;
    if (origin !== "unhandledRejection" || mode === "strict" || mode === "throw") {
      return tellStray(error);
    }
    // Any other rejection has a listener, or comes to nothing: this is that of the main module. A rank may be a
    // controller, too, and have a program that fails.
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

function tellStray(error: unknown): void {
  if (isStop(error) || isLeave(error)) return;
  const text = `bsync: ${whoAmI()}: an error that nobody caught${whence()}: ${textOf(error)}\n`;
  try {
    process.stderr.write(text);
  } catch {
    // Whatever a task has made of that stream.
    writeSync(2, text);
  }
}

function whoAmI(): string {
  const [call] = latestCalls();
  return `${call === undefined ? "a worker" : `worker ${call.worker}`} (${role})`;
}

/** What is known of the task that it comes from: of a rejection the engine does not say. */
function whence(): string {
  const own = currentCall();
  if (own !== null) return `, in what ${own.label} has begun`;
  const [latest, before] = latestCalls();
  if (latest === undefined) return "";
  if (latest.isOver)
    return `, after ${[latest, before].flatMap((call) => call?.label ?? []).join(" and ")}`;
  return `, while ${latest.label} ran${before === undefined ? "" : `, after ${before.label}`}`;
}

/** For people: files under their own names, and the causes below it. */
function textOf(error: unknown): string {
  try {
    if (!Error.isError(error)) return Bun.inspect(error);
    const { stack, cause } = error as Error;
    const text = typeof stack === "string" ? userStack(stack) : String(error);
    return Error.isError(cause) ? `${text}\ncaused by ${textOf(cause)}` : text;
  } catch {
    return "something that cannot be shown";
  }
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
    const who = `bsync: ${whoAmI()} ends${whence()}, since something that it needs itself has thrown`;
    writeSync(2, `${who} (has a task changed a builtin?): ${textOf(error)}\n`);
  } catch {
    // That could not be told, either.
  }
  return exitProcess(1);
}

const left = new Set<string>();

function ignore(): void {}

/**
 * Signals that are for the controller to understand: this process ignores them from now on. A program sees who listens
 * there: what it, or a library, does where nobody else handles a signal is not to be done, for the worker goes on.
 */
export function leaveToController(signals: readonly string[]): void {
  for (const signal of signals) {
    if (left.has(signal)) continue;
    left.add(signal);
    own.on(signal, ignore);
  }
}

/** They mean again what they meant before. */
export function takeSignalsBack(): void {
  for (const signal of left) own.off(signal, ignore);
  left.clear();
}
