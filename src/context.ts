import { AsyncLocalStorage } from "node:async_hooks";
import { BsyncError, CancelledError, type TimeoutError } from "./errors.ts";
import type { TaskPool } from "./task-pool.ts";

/**
 * What a task can learn of itself. A worker runs one call at a time, but an abandoned call may go
 * on beside the next: so each has a context of its own, which follows it through `await`, timers
 * and the like.
 */

/** What `taskContext()` returns. */
export interface TaskContext {
  /**
   * The task's number in its pool, as in messages: they are counted from 1. 0 in an initializer.
   */
  readonly id: number;
  /** 1, and one more each time that the task has started again (see `retries`, `retryOn`). */
  readonly attempt: number;
  /** Index of this worker in `pool.workers`. */
  readonly worker: number;
  /** This worker's MPI rank, in the pool's communicator; null for a local process. */
  readonly rank: number | null;
  /**
   * Aborts when the result is not wanted any more: the task's time was up (`reason` is its
   * `TimeoutError`), or it was cancelled by whatever means (`CancelledError`). Synchronous code
   * never sees it abort; code that awaits can stop at it.
   */
  readonly signal: AbortSignal;
  /**
   * Counts the workers of the pool on this worker's host, from 0: the number of a GPU that is this
   * worker's own, as in `CUDA_VISIBLE_DEVICES`.
   */
  readonly localIndex: number;
  /**
   * Tells the controller something on the way: it gets there before the result, to `onReport` and
   * to the listeners of `handle.on("report")`. The value is copied. Throws `ValueError` for one
   * that cannot travel; once the task is over, or was given up, it does nothing.
   */
  readonly report: (value: unknown) => void;
  /**
   * The pool that runs the task: it submits tasks of its own by it. While it awaits them its worker
   * runs others, so that no depth of tasks within tasks comes to a standstill.
   *
   * @example
   * async function sum(from: number, to: number): Promise<number> {
   *   if (to - from < 1_000) return add(from, to);
   *   const { pool } = taskContext();
   *   const middle = (from + to) >> 1;
   *   const halves = [pool.async(sum, from, middle), pool.async(sum, middle, to)];
   *   const [left, right] = await Promise.all(halves);
   *   return left! + right!;
   * }
   */
  readonly pool: TaskPool;
}

/** Where a session's calls run. */
export interface Workplace {
  readonly index: number;
  readonly rank: number | null;
  readonly localIndex: number;
  /** It is the program's own process. */
  readonly isInline: boolean;
  /** Sends the controller what the call of that number says on the way. */
  readonly report: (id: number, value: unknown) => void;
  /** The pool as a call there sees it. */
  readonly poolOf: (call: RunningCall) => TaskPool;
}

/** The tasks that a call has submitted. */
export interface CallChildren {
  /** Of how many ends it has heard. */
  readonly heard: number;
  /** Whether it waits for each of them that is not settled. */
  readonly waitsForAll: boolean;
  /** The call awaits a promise: perhaps one of theirs. */
  onAwaiting(): void;
  /** The call is over; in vain, where it has failed, or is not wanted any more. */
  onOver(isInVain: boolean): void;
}

let latest: RunningCall | undefined;
let before: RunningCall | undefined;

/** The calls that began last on this worker, up to two, the latest first. */
export function latestCalls(): RunningCall[] {
  return [latest, before].filter((call) => call !== undefined);
}

/**
 * How far a call has come on its worker:
 *
 *   flushing ──earlier messages are all sent──▶ called ──a promise──▶ awaiting ◀──▶ suspended
 *       └──────────────────────────────────────────┴──a value──▶ over ◀──┴───────────────┘
 *
 * The function of a `called` call is on the stack: it may receive messages itself, in a `getSync`
 * of a pool of its own. A `suspended` call waits for tasks that it has submitted, and has given up
 * its place to others.
 */
export type CallStage = "flushing" | "called" | "awaiting" | "suspended" | "over";

/** Where a call comes from; the calls of a list have it in common. */
export interface CallOrigin {
  readonly attempt: number;
  readonly place: Workplace;
  /** The function's name, for messages. */
  readonly fn: string;
  /** ms that it may run; Infinity for no limit. */
  readonly timeout: number;
}

/** A call that has begun. Cheap to make: its context is made when the task asks for it. */
export class RunningCall {
  /** Its number on the wire. */
  readonly id: number;
  /** The task's number in its pool; 0 for an initializer. */
  readonly task: number;
  /** The number on the wire of the first call of its list; its own if it has come alone. */
  readonly first: number;
  /** When its time is over, on `performance.now()`; not before its function is called. */
  dueAt = Infinity;
  /** It has been answered, or is to be answered with a `TimeoutError`. */
  isOver = false;
  /** `worker/calls.ts` moves it. */
  stage: CallStage = "over";
  /** The call that has begun before it, and is not over; `worker/calls.ts` links them. */
  previous: RunningCall | null = null;
  /** Null as long as it has submitted no task. */
  children: CallChildren | null = null;
  readonly #origin: CallOrigin;
  #controller: AbortController | null = null;
  #context: TaskContext | null = null;
  #reason: TimeoutError | CancelledError | null = null;

  constructor(id: number, task: number, origin: CallOrigin, first: number = id) {
    this.id = id;
    this.task = task;
    this.first = first;
    this.#origin = origin;
    before = latest;
    latest = this;
  }

  /** Index of the worker. */
  get worker(): number {
    return this.#origin.place.index;
  }

  /** Whether both are calls of one session. */
  isBeside(other: RunningCall): boolean {
    return this.#origin.place.poolOf === other.#origin.place.poolOf;
  }

  /** ms that it may run; Infinity for no limit. */
  get timeout(): number {
    return this.#origin.timeout;
  }

  /** Whether it runs in the process of its pool's controller, where nothing may interrupt it. */
  get isInline(): boolean {
    return this.#origin.place.isInline;
  }

  /** For messages: `task 17 (render)`. */
  get label(): string {
    return `${this.task === 0 ? "the initializer" : `task ${this.task}`} (${this.#origin.fn})`;
  }

  /** Calls `deed` so that `taskContext` is this call's there, and in all that it begins. */
  run<A extends unknown[], R>(deed: (...args: A) => R, ...args: A): R {
    return storage().run(this, deed, ...args);
  }

  /** The same without arguments, which would be put into a list twice. */
  enter<R>(deed: () => R): R {
    return storage().run(this, deed);
  }

  /** The call was given up: its signal aborts. The first reason counts. */
  abandon(reason: TimeoutError | CancelledError = this.#cancelled()): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.isOver = true;
    const controller = this.#controller;
    if (controller !== null) this.run(() => controller.abort(reason));
    this.children?.onOver(true);
  }

  get context(): TaskContext {
    if (this.#context !== null) return this.#context;
    const controller = new AbortController();
    this.#controller = controller;
    if (this.#reason !== null) controller.abort(this.#reason);
    const { attempt, place } = this.#origin;
    const { index: worker, rank, localIndex } = place;
    const { signal } = controller;
    const report: TaskContext["report"] = (value) => {
      if (!this.isOver) place.report(this.id, value);
    };
    const poolOf = () => place.poolOf(this);
    let pool: TaskPool | null = null;
    const context = { id: this.task, attempt, worker, rank, localIndex, signal };
    // Not enumerable: a task that returns all but the signal, which cannot travel, still can.
    Object.defineProperties(context, {
      report: { value: report },
      pool: { get: () => (pool ??= poolOf()) },
    });
    this.#context = Object.freeze(context as TaskContext);
    return this.#context;
  }

  #cancelled(): CancelledError {
    return new CancelledError(`${this.label} was cancelled`);
  }
}

// On `globalThis`, since a worker may hold bsync twice: as itself, and inside a bundled program.
const slot = Symbol.for("bsync.context");

let shared: AsyncLocalStorage<RunningCall> | null = null;

function storage(): AsyncLocalStorage<RunningCall> {
  if (shared !== null) return shared;
  const holder = globalThis as { [slot]?: AsyncLocalStorage<RunningCall> };
  return (shared = holder[slot] ??= new AsyncLocalStorage());
}

/** The call that runs here, or has begun what runs here; null for none. */
export function currentCall(): RunningCall | null {
  return storage().getStore() ?? null;
}

/**
 * Inside a task: its number and attempt, where it runs, and a signal that aborts when nobody wants
 * its result any more. The same object at each call in one task. Throws a `BsyncError` of code
 * `BSYNC_NO_TASK` where no task runs: in the program itself, and at the top level of a module.
 *
 * @example
 * async function download(url: string) {
 *   const { signal, attempt } = taskContext();
 *   if (attempt > 1) console.warn(`${url}: another try`);
 *   return await (await fetch(url, { signal })).bytes();
 * }
 * await pool.with({ timeout: 5_000, retries: 2 }).async(download, url);
 */
export function taskContext(): TaskContext {
  const running = storage().getStore();
  if (running !== undefined) return running.context;
  throw new BsyncError(
    "BSYNC_NO_TASK",
    "Cannot get the context of a task: taskContext() was called where none runs; call it within " +
      "a function that a pool calls",
  );
}
