import { JSON } from "./os/natives.ts";

/**
 * Every way in which bsync itself fails, each with a class and a `code` to test for. An error
 * thrown by a task is none of these: it arrives unchanged.
 *
 * Messages follow one grammar, "Cannot <action>: <finding>; <cure>", with no full stop.
 */

/**
 * The property with the class's name, on each prototype. Another copy of bsync, as in a bundled
 * program, has the same.
 */
const NAME = Symbol.for("bsync.error");

/** Restores the class's name: a minifier may have changed it. */
function named(maker: Function, name: string): void {
  Object.defineProperty(maker, "name", { value: name, configurable: true });
  Object.defineProperty(maker.prototype, NAME, { value: name });
}

/** The class name for a prototype of bsync's own errors, of any copy; undefined for others. */
export function ownErrorName(prototype: object): unknown {
  return Object.getOwnPropertyDescriptor(prototype, NAME)?.value;
}

/**
 * The base of all bsync's own errors: `error instanceof BsyncError` tells them from the task's.
 *
 * @example
 * try {
 *   await handle;
 * } catch (error) {
 *   if (error instanceof BsyncError) console.error(error.code, error.message);
 *   else throw error;
 * }
 */
export class BsyncError extends Error {
  static {
    named(this, "BsyncError");
  }

  /** One for each class, as `"BSYNC_TIMEOUT"`: for programs, where the message is for people. */
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    // An own property: for an uncaught error Bun shows no name from a getter.
    Object.defineProperty(this, "name", {
      value: new.target.name,
      writable: true,
      configurable: true,
    });
  }
}

/**
 * The rejection of `get({ reraise: false })`: `exc` is the value that the function threw,
 * unchanged.
 *
 * @example
 * const failure = await handle.get({ reraise: false }).catch((e) => e);
 * if (failure instanceof ProcException) console.error("the task threw", failure.exc);
 */
export class ProcException extends BsyncError {
  static {
    named(this, "ProcException");
  }

  constructor(exc: unknown) {
    const text = exc instanceof Error ? `${exc.name}: ${exc.message}` : Bun.inspect(exc);
    super("BSYNC_PROC_EXCEPTION", `the task failed with ${text}`, { cause: exc });
  }

  /** The thrown value: an error of any class, or any other value. It is the `cause`, too. */
  get exc(): unknown {
    return this.cause;
  }
}

/**
 * A task ran longer than its `timeout`, `get({ timeout })` waited longer than allowed, or workers
 * did not answer within `openTimeout`. After `get` the task goes on; see `handle.state`.
 *
 * @example
 * const slow = pool.with({ timeout: 500 }).async("() => { for (;;); }");
 * await slow.get().catch((error) => error instanceof TimeoutError); // true, after half a second
 */
export class TimeoutError extends BsyncError {
  static {
    named(this, "TimeoutError");
  }

  constructor(message: string) {
    super("BSYNC_TIMEOUT", message);
  }
}

/** Describes a lost worker. */
export interface LostWorker {
  /** Index of the worker in its pool. */
  readonly worker: number;
  /** Its MPI rank in the pool's communicator, null for a local process. */
  readonly rank: number | null;
  /** Its process id; 0 if it ended before it reported it. */
  readonly pid: number;
  /** Its exit code; null if a signal ended it, or it is unknown. */
  readonly exitCode: number | null;
  /** The signal that ended it, as `"SIGKILL"`; null if none did, or it is unknown. */
  readonly signal: string | null;
}

/**
 * The worker that ran the task is gone, and with it the task; tasks it had not begun run elsewhere.
 * The message says what may have ended it.
 *
 * @example
 * const failure = await pool.async("() => process.exit(3)").get().catch((e) => e);
 * if (failure instanceof WorkerLostError) console.error(failure.exitCode); // 3, on a local worker
 */
export class WorkerLostError extends BsyncError implements LostWorker {
  static {
    named(this, "WorkerLostError");
  }

  readonly worker: number;
  readonly rank: number | null;
  readonly pid: number;
  readonly exitCode: number | null;
  readonly signal: string | null;

  constructor(message: string, lost: LostWorker) {
    super("BSYNC_WORKER_LOST", message);
    this.worker = lost.worker;
    this.rank = lost.rank;
    this.pid = lost.pid;
    this.exitCode = lost.exitCode;
    this.signal = lost.signal;
  }
}

/**
 * The task was cancelled: by `cancel`, by `terminate`, or by one of the `drainSignals`; `cause` is
 * the given reason, or the name of the signal.
 *
 * @example
 * handle.cancel("not needed");
 * await handle.get().catch((error) => error.cause); // "not needed"
 */
export class CancelledError extends BsyncError {
  static {
    named(this, "CancelledError");
  }

  constructor(message: string, options?: ErrorOptions) {
    super("BSYNC_CANCELLED", message, options);
  }
}

/**
 * The pool is closed, or closing: it takes no more calls. Handles of earlier calls still work.
 *
 * @example
 * await pool.close();
 * pool.async("Math.hypot", 3, 4); // throws PoolClosedError
 */
export class PoolClosedError extends BsyncError {
  static {
    named(this, "PoolClosedError");
  }

  constructor(message: string) {
    super("BSYNC_POOL_CLOSED", message);
  }
}

/**
 * As many tasks wait for a worker as the pool's `queueLimit` allows; the refused task is not
 * queued, and no queued task is lost.
 *
 * @example
 * try {
 *   pool.async(render, scene);
 * } catch (error) {
 *   if (!(error instanceof QueueFullError)) throw error;
 *   reply.status(503);
 * }
 */
export class QueueFullError extends BsyncError {
  static {
    named(this, "QueueFullError");
  }

  constructor(message: string) {
    super("BSYNC_QUEUE_FULL", message);
  }
}

/**
 * The function cannot travel to a worker, was not found there, or needs a variable of an enclosing
 * function, or of the main script below `AsyncPool.open`; the message names it. A top-level
 * function that gets all it needs as arguments always travels; in a compiled program, one
 * registered by `task()`.
 *
 * @example
 * function scaleAll(factor: number) {
 *   return pool.async((x: number) => x * factor, 2); // FunctionError, which names `factor`
 *   // instead: pool.async((x: number, factor: number) => x * factor, 2, factor)
 * }
 */
export class FunctionError extends BsyncError {
  static {
    named(this, "FunctionError");
  }

  constructor(message: string, options?: ErrorOptions) {
    super("BSYNC_FUNCTION", message, options);
  }
}

/**
 * An argument, a result or a thrown value cannot travel; the message gives its path, as in
 * `args[0].socket`. Send the data from which it can be rebuilt.
 *
 * @example
 * await pool.async("(x) => x", { job: Promise.resolve() }); // ValueError, of args[0].job
 */
export class ValueError extends BsyncError {
  static {
    named(this, "ValueError");
  }

  constructor(message: string, options?: ErrorOptions) {
    super("BSYNC_VALUE", message, options);
  }
}

/**
 * The file of a map's `checkpoint` cannot be used: it was made for another function, other items or
 * another version, somebody else has it open, it is none of bsync's, or it cannot be read or
 * written. The message shows what differs, and nothing of the file was changed.
 *
 * @example
 * try {
 *   for await (const score of pool.map(evaluate, configs, { checkpoint })) console.log(score);
 * } catch (error) {
 *   if (error instanceof CheckpointError) console.error(error.message); // what to do, too
 * }
 */
export class CheckpointError extends BsyncError {
  static {
    named(this, "CheckpointError");
  }

  constructor(message: string, options?: ErrorOptions) {
    super("BSYNC_CHECKPOINT", message, options);
  }
}

/**
 * MPI failed, or could not be found, built for, or loaded: the message says what to install or set.
 *
 * @example
 * try {
 *   world.send(Float64Array.of(1), 99);
 * } catch (error) {
 *   if (error instanceof MpiError) console.error(error.mpiClass); // MPI_ERR_RANK, in a smaller job
 * }
 */
export class MpiError extends BsyncError {
  static {
    named(this, "MpiError");
  }

  /** MPI's own error code; 0 if the failure came before MPI was called. */
  readonly mpiCode: number;
  /** MPI's own text for that code; empty if there is none. */
  readonly mpiText: string;
  /**
   * The class of that code, as `"MPI_ERR_TRUNCATE"`, the same under every MPI; empty if there is
   * none.
   */
  readonly mpiClass: string;

  constructor(message: string, mpiCode = 0, mpiText = "", mpiClass = "", options?: ErrorOptions) {
    super("BSYNC_MPI", message, options);
    this.mpiCode = mpiCode;
    this.mpiText = mpiText;
    this.mpiClass = mpiClass;
  }
}

/** The text of a thrown value, for a message. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Removes the stack frames of an error of bsync's own: none is the program's, and the message
 * suffices.
 */
export function withoutFrames<E extends Error>(error: E): E {
  Object.defineProperty(error, "stack", {
    value: `${error.name}: ${error.message}`,
    writable: true,
    configurable: true,
  });
  return error;
}

/** Makes an error for which the console shows no frames either, and no source. */
export function madeWithoutFrames<E extends Error>(make: () => E): E {
  return withoutFrames(untraced(make));
}

/**
 * Makes an error without a `stack`. Where one has no frames the console looks for those of the
 * error's making.
 */
export function untraced<E extends Error>(make: () => E): E {
  const limit = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit");
  if (limit?.writable) Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    if (limit?.writable) Error.stackTraceLimit = limit.value as number;
  }
}

/** A value for a message. */
export function show(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : Bun.inspect(value, { compact: true });
}
