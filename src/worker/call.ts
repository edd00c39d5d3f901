import { Script } from "node:vm";
import { FunctionError, TimeoutError } from "../errors.ts";
import { findLines, needsLines } from "../function/lines.ts";
import { missingVariable, type Resolved, unreachedVariable } from "../function/resolve.ts";
import { endOfMain, mainScript } from "../function/scope.ts";
import type { RunningCall } from "./context.ts";

/** How a call ended. */
export interface Outcome {
  readonly threw: boolean;
  /** What it returned, or threw. */
  readonly value: unknown;
}

type AnyFunction = (...args: unknown[]) => unknown;

/**
 * Calls a function under a deadline of `timeout` ms, Infinity for none. Synchronous code that runs
 * past it is interrupted (`node:vm` does that, whatever the code catches); a promise that is still
 * pending is abandoned: its function may go on, and nobody listens. `running` is told, in either
 * case. Never throws or rejects.
 */
export function call(
  { fn, inline }: Resolved,
  args: unknown[],
  timeout: number,
  running: RunningCall,
): Outcome | Promise<Outcome> {
  const start = timeout === Infinity ? 0 : performance.now();
  const outcome = timeout === Infinity ? invoke(fn, args) : invokeWithin(fn, args, timeout);
  if (outcome === null) {
    const error = tooLong(running, timeout);
    running.abandon(error);
    return { threw: true, value: error };
  }
  if (!outcome.threw && isThenable(outcome.value)) {
    const left = timeout === Infinity ? Infinity : timeout - (performance.now() - start);
    const expire = () => tooLong(running, timeout);
    return settle(outcome.value, left, running, expire, inline);
  }
  return outcome.threw ? explain(outcome, inline, running) : outcome;
}

function invoke(fn: AnyFunction, args: unknown[]): Outcome {
  try {
    return { threw: false, value: fn(...args) };
  } catch (error) {
    return { threw: true, value: error };
  }
}

// What `node:vm` runs is a text, so the call it is to make is handed over by these.
const slot = Symbol.for("bsync.call");
let pending: (() => void) | null = null;
let script: Script | null = null;

/** null when the deadline passed before the function returned. */
function invokeWithin(fn: AnyFunction, args: unknown[], timeout: number): Outcome | null {
  let outcome: Outcome | null = null;
  const outer = pending;
  pending = () => {
    outcome = invoke(fn, args);
  };
  try {
    script ??= prepare();
    // Whole ms, at least 1; beyond 24 days the controller's own clock has to do.
    const within = Math.min(Math.max(1, Math.ceil(timeout)), 2_147_483_647);
    script.runInThisContext({ timeout: within });
  } catch (error) {
    const code = (error as { code?: unknown } | null)?.code;
    // One that returned at that very moment has returned: what it promised is not to be dropped.
    if (code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return outcome;
    // Code generation is forbidden altogether: the controller's clock alone watches this call.
    outcome ??= invoke(fn, args);
  } finally {
    pending = outer;
  }
  return outcome;
}

function prepare(): Script {
  Object.defineProperty(globalThis, slot, { value: () => pending?.() });
  return new Script(`globalThis[Symbol.for("bsync.call")]()`, { filename: import.meta.path });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value instanceof Promise) return true;
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  try {
    return typeof (value as { then?: unknown }).then === "function";
  } catch {
    return false;
  }
}

function settle(
  promise: PromiseLike<unknown>,
  left: number,
  running: RunningCall,
  expire: () => TimeoutError,
  inline: Resolved["inline"],
): Promise<Outcome> {
  return new Promise((resolve) => {
    const expired = () => {
      const error = expire();
      // In this order: what the signal stops must not settle the call in its own way.
      resolve({ threw: true, value: error });
      running.abandon(error);
    };
    const timer =
      left === Infinity ? null : setTimeout(expired, Math.min(Math.max(0, left), 2_147_483_647));
    const done = (outcome: Outcome) => {
      if (timer !== null) clearTimeout(timer);
      resolve(outcome);
    };
    Promise.resolve(promise).then(
      (value) => done({ threw: false, value }),
      (error) => resolveAfter(done, explain({ threw: true, value: error }, inline, running)),
    );
  });
}

function resolveAfter(
  done: (outcome: Outcome) => void,
  explained: Outcome | Promise<Outcome>,
): void {
  if (explained instanceof Promise) void explained.then(done);
  else done(explained);
}

/**
 * A function that has thrown. One that lacks a variable of the main script, or, if it is inline, of the
 * function it was written in says which; of an inline one the lines of its stack are found, the first time.
 */
function explain(
  outcome: Outcome,
  inline: Resolved["inline"],
  { label }: RunningCall,
): Outcome | Promise<Outcome> {
  const unreached = unreachedVariable(outcome.value);
  if (unreached !== null) {
    const message =
      `Cannot finish ${label}: it uses "${unreached}", which was not initialized on this worker, where ` +
      `${mainScript()} goes no further than ${endOfMain()}; move "${unreached}" above that line, or ` +
      "pass it as an argument";
    return { threw: true, value: new FunctionError(message, { cause: outcome.value }) };
  }
  if (inline === null) return outcome;
  const { text, id } = inline;
  const name = missingVariable(outcome.value, text);
  if (name === null) return needsLines(id) ? findLines(id).then(() => outcome) : outcome;
  const message =
    `Cannot run the inline function on this worker: it uses "${name}", a variable of the function ` +
    "it was written in, which does not travel with it; pass it as an argument";
  return { threw: true, value: new FunctionError(message, { cause: outcome.value }) };
}

function tooLong({ label }: RunningCall, timeout: number): TimeoutError {
  return new TimeoutError(
    `Cannot finish ${label}: it ran longer than its timeout of ${timeout} ms`,
  );
}
