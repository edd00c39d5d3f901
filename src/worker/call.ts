import { BsyncError, FunctionError, TimeoutError, withoutFrames } from "../errors.ts";
import type { Resolved } from "../function/resolve.ts";
import { endOfMain, mainScript } from "../function/main-script.ts";
import { clearTimeout, performance, Promise, setTimeout, toPromise } from "../os/natives.ts";
import type { RunningCall } from "../context.ts";
import { functions } from "./functions-lazy.ts";
import { runWithin } from "./watchdog.ts";
import { timerDelay } from "../os/waits.ts";

/** How a call ended. */
export interface Outcome {
  readonly threw: boolean;
  /** What it returned, or threw. */
  readonly value: unknown;
  /** Its time was over: `value` says so, and the call's signal is still to abort. */
  readonly isLate: boolean;
}

/**
 * A call that is not over. No promise is resolved with its outcome, which would be asked for a
 * `then`.
 */
export class Pending {
  readonly promise: Promise<unknown>;
  /** How the call ends when `promise` is settled; null if that is its outcome. */
  readonly outcome: Outcome | null;

  constructor(promise: Promise<unknown>, outcome: Outcome | null = null) {
    this.promise = promise;
    this.outcome = outcome;
  }
}

type AnyFunction = (...args: unknown[]) => unknown;

/**
 * Calls a function under a deadline of `timeout` ms, Infinity for none; in the context of
 * `running`, whose `dueAt` is set. Synchronous code that runs past it is interrupted. A call that
 * comes back later has timed out all the same, by the clock. Never throws.
 */
export function call(
  { fn, inline }: Resolved,
  args: unknown[],
  timeout: number,
  running: RunningCall,
): Outcome | Pending {
  const outcome =
    timeout === Infinity ? invoke(fn, args) : invokeWithin(fn, args, timeout, running);
  if (outcome.isLate) return outcome;
  if (outcome.threw) return explain(outcome, inline, running);
  return isThenable(outcome.value) ? awaited(outcome.value) : outcome;
}

/** The call of a list that is made next. */
interface ItemCall {
  found: Resolved;
  item: unknown;
  index: number;
  running: RunningCall;
}

let next: ItemCall | null = null;

/**
 * Calls a function on an item of a map, without a deadline, in the context of `running`. Calls of
 * lists take some ns each: they pass no arguments through lists. Never throws.
 */
export function callOnItem(
  found: Resolved,
  item: unknown,
  index: number,
  running: RunningCall,
): Outcome | Pending {
  next = { found, item, index, running };
  return running.enter(callNext);
}

function callNext(): Outcome | Pending {
  const { found, item, index, running } = next!;
  next = null;
  const outcome = invokeOnItem(found.fn, item, index);
  if (outcome.threw) return explain(outcome, found.inline, running);
  return isThenable(outcome.value) ? awaited(outcome.value) : outcome;
}

const { "bsync: call": invokeOnItem } = {
  "bsync: call"(fn: AnyFunction, item: unknown, index: number): Outcome {
    try {
      return { threw: false, value: fn(item, index), isLate: false };
    } catch (error) {
      return thrown(error);
    }
  },
};

/**
 * The frames below the program's own in a stack. By these names stack.ts knows them, in bundles
 * too.
 */
const { "bsync: call": invoke, "bsync: wait": listen } = {
  "bsync: call"(fn: AnyFunction, args: unknown[]): Outcome {
    try {
      return { threw: false, value: fn(...args), isLate: false };
    } catch (error) {
      return thrown(error);
    }
  },

  /** Calls one of the two, later. `await` reads no `then` of a promise, which may be anybody's. */
  async "bsync: wait"(
    promise: Promise<unknown>,
    onDone: (value: unknown) => void,
    onFailed: (error: unknown) => void,
  ): Promise<void> {
    let value: unknown;
    try {
      value = await promise;
    } catch (error) {
      return onFailed(error);
    }
    onDone(value);
  },
};

/** The outcome of a call that has thrown, or could not be made. */
export function thrown(error: unknown): Outcome {
  return { threw: true, value: error, isLate: false };
}

function invokeWithin(
  fn: AnyFunction,
  args: unknown[],
  timeout: number,
  running: RunningCall,
): Outcome {
  let outcome: Outcome | null = null;
  const run = running.isInline ? runUnwatched : runWithin;
  const interruption = run(timeout, running, () => {
    outcome = invoke(fn, args);
  });
  // Assigned in a function that may not have come so far.
  const found = outcome as Outcome | null;
  if (!isOver(running)) {
    if (interruption === "signal") return thrown(stopped(running));
    if (found !== null) return found;
  }
  // Nobody waits for its promise, nor for a rejection of it.
  if (found !== null && !found.threw && isThenable(found.value)) ignore(found.value);
  return late(running);
}

/** As `runWithin`, where a call that takes too long goes on until it returns. */
function runUnwatched(timeout: number, clock: { dueAt: number }, deed: () => void): null {
  clock.dueAt = performance.now() + timeout;
  deed();
  return null;
}

/** Whether its time is over, by the clock. */
export function isOver({ dueAt }: RunningCall): boolean {
  return performance.now() > dueAt;
}

/** The outcome of a call whose time is over. */
export function late(running: RunningCall): Outcome {
  return { threw: true, value: lateError(running), isLate: true };
}

export function lateError({ label, timeout }: RunningCall): TimeoutError {
  const message = `Cannot finish ${label}: it ran longer than its timeout of ${timeout} ms`;
  return withoutFrames(new TimeoutError(message));
}

function stopped({ label }: RunningCall): BsyncError {
  const message = `Cannot finish ${label}: SIGINT came while it ran`;
  return withoutFrames(new BsyncError("BSYNC_INTERRUPTED", message));
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

/** Here, in the context of the call: a thenable's own `then` is called. */
function awaited(value: PromiseLike<unknown>): Outcome | Pending {
  try {
    return new Pending(toPromise(value));
  } catch (error) {
    return thrown(error);
  }
}

function ignore(value: PromiseLike<unknown>): void {
  const pending = awaited(value);
  if (pending instanceof Pending) void listen(pending.promise, nothing, nothing);
}

function nothing(): void {}

/**
 * Waits for the end of a call, outside of its context; `settled` is called with it, once and later,
 * and throws nothing. A promise that is still pending when the time is over is abandoned: its
 * function may go on, and nobody listens.
 */
export function follow(
  pending: Pending,
  { inline }: Resolved,
  timeout: number,
  running: RunningCall,
  settled: (outcome: Outcome) => void,
): void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let isSettled = false;
  const settle = (outcome: Outcome): void => {
    if (isSettled) return;
    isSettled = true;
    if (timer !== null) clearTimeout(timer);
    settled(outcome);
  };
  const end = (outcome: Outcome): void => {
    if (isSettled) return;
    if (isOver(running)) return settle(late(running));
    const explained = outcome.threw ? explain(outcome, inline, running) : outcome;
    if (explained instanceof Pending) wait(explained, settle);
    else settle(explained);
  };
  if (pending.outcome !== null) return wait(pending, settle);
  if (timeout !== Infinity) {
    const left = timerDelay(running.dueAt - performance.now());
    // A timer may ring a little early.
    timer = setTimeout(() => settle(late(running)), left);
  }
  void listen(
    pending.promise,
    (value) => end({ threw: false, value, isLate: false }),
    (error) => end(thrown(error)),
  );
}

/** Of a call whose outcome is known: waits until its inline lines are found. */
function wait({ promise, outcome }: Pending, settle: (outcome: Outcome) => void): void {
  const end = () => settle(outcome!);
  void listen(promise, end, end);
}

/** Never throws: its own error takes the place of the call's. */
function explain(
  outcome: Outcome,
  inline: Resolved["inline"],
  running: RunningCall,
): Outcome | Pending {
  try {
    return explained(outcome, inline, running);
  } catch (error) {
    return thrown(error);
  }
}

/**
 * A function that has thrown. If it lacks a variable of the main script, or, being inline, of the
 * function it was written in, the error says which; the lines of an inline function's stack are
 * found, the first time.
 */
function explained(
  outcome: Outcome,
  inline: Resolved["inline"],
  { label }: RunningCall,
): Outcome | Pending {
  const { resolve, lines, ownPool } = functions()!;
  const { adviceOnPool, holdsPool, unsetPool } = ownPool;
  const unreached = resolve.unreachedVariable(outcome.value);
  const pool = unreached ?? unsetPool(outcome.value);
  if (pool !== null && holdsPool(pool)) {
    const message = `Cannot finish ${label}: ${adviceOnPool(pool)}`;
    return thrown(new FunctionError(message, { cause: outcome.value }));
  }
  if (unreached !== null) {
    const message =
      `Cannot finish ${label}: it uses "${unreached}", which was not initialized on this ` +
      `worker, where ${mainScript()} goes no further than ${endOfMain()}; move "${unreached}" ` +
      "above that line, or pass it as an argument";
    return thrown(withoutFrames(new FunctionError(message, { cause: outcome.value })));
  }
  if (inline === null) return outcome;
  const { text, id } = inline;
  const name = resolve.missingVariable(outcome.value, text);
  if (name === null) {
    return lines.needsLines(id) ? new Pending(lines.findLines(id), outcome) : outcome;
  }
  if (holdsPool(name)) {
    const message = `Cannot run the inline function on this worker: ${adviceOnPool(name)}`;
    return thrown(new FunctionError(message, { cause: outcome.value }));
  }
  const message =
    `Cannot run the inline function on this worker: it uses "${name}", a variable of the ` +
    "function it was written in, which does not travel with it; pass it as an argument, or, if " +
    "the function is a constant of its module that another function has made, export it";
  return thrown(withoutFrames(new FunctionError(message, { cause: outcome.value })));
}
