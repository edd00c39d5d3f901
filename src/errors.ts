/**
 * Every way in which bsync itself fails, each with a class and a `code` to test for.
 * An error thrown by a task is none of these: it arrives as itself.
 *
 * Messages follow one grammar, "Cannot <deed>: <what was found>; <what to do>", with no full stop.
 */

/** What all of bsync's own errors extend: `error instanceof BsyncError` tells them from the task's. */
export class BsyncError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/**
 * What `get({ reraise: false })` rejects with: `exc` is whatever the function threw, untouched.
 *
 * @example
 * const failure = await handle.get({ reraise: false }).catch((e) => e);
 * if (failure instanceof ProcException) console.error("the task threw", failure.exc);
 */
export class ProcException extends BsyncError {
  /** What the function threw: an error of any class, or any other value. */
  readonly exc: unknown;

  constructor(exc: unknown) {
    const text = exc instanceof Error ? `${exc.name}: ${exc.message}` : Bun.inspect(exc);
    super("BSYNC_PROC_EXCEPTION", `the task failed with ${text}`, { cause: exc });
    this.exc = exc;
  }
}

/** A task ran longer than its `timeout`, or `get({ timeout })` waited longer than it was told to. */
export class TimeoutError extends BsyncError {
  constructor(message: string) {
    super("BSYNC_TIMEOUT", message);
  }
}

/** What is known of a worker that was lost. */
export interface LostWorker {
  /** Index of the worker in its pool. */
  readonly worker: number;
  /** Its MPI rank, null for a local process. */
  readonly rank: number | null;
  readonly pid: number;
  /** How its process ended, where that is known. */
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** The worker that ran the task is gone, and with it the task. */
export class WorkerLostError extends BsyncError implements LostWorker {
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

/** The task was cancelled: by `cancel`, or by `terminate`; `cause` is the reason that was given. */
export class CancelledError extends BsyncError {
  constructor(message: string, options?: ErrorOptions) {
    super("BSYNC_CANCELLED", message, options);
  }
}

/** The pool is closed, or closing: it takes no more calls. */
export class PoolClosedError extends BsyncError {
  constructor(message: string) {
    super("BSYNC_POOL_CLOSED", message);
  }
}

/** The queue holds `queueLimit` tasks already. */
export class QueueFullError extends BsyncError {
  constructor(message: string) {
    super("BSYNC_QUEUE_FULL", message);
  }
}

/** The function cannot travel to a worker, or was not found there. */
export class FunctionError extends BsyncError {
  constructor(message: string, options?: ErrorOptions) {
    super("BSYNC_FUNCTION", message, options);
  }
}

/** A value cannot travel; the message gives its path, as in `args[0].socket`. */
export class ValueError extends BsyncError {
  constructor(message: string, options?: ErrorOptions) {
    super("BSYNC_VALUE", message, options);
  }
}

/** MPI failed, or could not be found, built for, or loaded. */
export class MpiError extends BsyncError {
  /** MPI's own error code; 0 when the failure came before MPI could be asked. */
  readonly mpiCode: number;
  /** MPI's own text for that code; empty when there is none. */
  readonly mpiText: string;

  constructor(message: string, mpiCode = 0, mpiText = "", options?: ErrorOptions) {
    super("BSYNC_MPI", message, options);
    this.mpiCode = mpiCode;
    this.mpiText = mpiText;
  }
}
