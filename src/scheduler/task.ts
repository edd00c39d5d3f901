import type { Encoded } from "../codec/value.ts";
import type { KnownFunction } from "./estimates.ts";
import { idOf } from "../wire/task-id.ts";

/** Where a task is in its life; docs/design/scheduling.md has the arrows. */
export type TaskState = "queued" | "running" | "done" | "failed" | "cancelled";

/** The options of one task, checked; tasks submitted in the same way share one object. */
export interface TaskOptions {
  /** ms the function may run, from its start on the worker; Infinity for no limit. */
  readonly timeout: number;
  /** Lower runs first. */
  readonly priority: number;
  /** How often a task whose worker was lost may start again. */
  readonly retries: number;
  readonly signal: AbortSignal | null;
  /** Index of the one worker that may run it; null for any. */
  readonly worker: number | null;
  /** Whether a task that has thrown or timed out may start again; null: it may not. */
  readonly retryOn: RetryOn | null;
  /** Hears what the task reports on the way. */
  readonly onReport: OnReport | null;
}

/** Where a report comes from. */
export interface ReportOrigin {
  /** The task's number in its pool, as in `taskContext().id`. */
  readonly id: number;
  /** Index of its worker. */
  readonly worker: number;
  /** As in `taskContext().attempt`. */
  readonly attempt: number;
  /** Of an item of a map, its place among the items; else null. */
  readonly index: number | null;
}

/**
 * Called with what a task has given to `taskContext().report`, and where that comes from. Reports
 * of a task come in their order, and before its result.
 *
 * @example
 * const onReport: OnReport = (percent, { worker }) => console.log(`${worker}: ${percent} %`);
 */
// `any`: the listener says itself what it expects, as those of errors do.
export type OnReport = (value: any, from: ReportOrigin) => void;

/**
 * Whether a task that has thrown or timed out, and has retries left, starts again: `false` fails
 * it, `true` queues it again, a number does so after that many ms. `attempt` is the one that
 * failed, as in `taskContext().attempt`: 1 for the first.
 *
 * @example
 * const retryOn: RetryOn = (error, attempt) => error instanceof TimeoutError && attempt * 100;
 */
export type RetryOn = (error: unknown, attempt: number) => boolean | number;

/**
 * The arguments of a task until it is sent: encoded at the call where one of them could change;
 * else a list as it is; or the one argument itself, if it is the only one, and no object.
 */
export type Payload = Encoded | readonly unknown[] | string | number | boolean | bigint;

/** Hears of the end of a task: the two functions of its promise, or others. */
export interface Waiter {
  readonly promise: Promise<unknown> | null;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Of a task that has failed without anybody waiting for it: called when somebody asks. */
  readonly onAsked?: (task: Task) => void;
}

/** Of a task that somebody has asked for, and does not wait for now. */
export const ASKED: Waiter = { promise: null, resolve() {}, reject() {} };

/** Somebody asks what came of a task: its failure is not one that nobody hears of. */
export function noteAsked(task: Task): void {
  if (task.waiter === null) task.waiter = ASKED;
  else if (task.waiter.onAsked !== undefined) task.waiter.onAsked(task);
}

/** A worker, as far as a task knows it; see `worker-record.ts`. */
export interface Seat {
  readonly index: number;
}

/**
 * One call, from `async` until it is settled. A plain record, kept small: a program may queue a
 * million of them, and hold as many handles, which is why the handle that users see (`handle.ts`)
 * is the same object. Until it is settled `state` is the scheduler's; the controller that settles
 * it says the last word, and sets `outcome`.
 */
export class Task {
  /** @internal Order of submission, of which `id` is the number on the wire. */
  readonly order: number;
  /** @internal */
  readonly fn: KnownFunction;
  /** @internal */
  readonly options: TaskOptions;
  /** @internal Null once settled. */
  payload: Payload | null = null;
  /** As far as this process has heard; `ready()` listens. */
  state: TaskState = "queued";
  /** @internal The worker that has or had it. */
  record: Seat | null = null;
  /** @internal It has no timeout, retries or signal: of its options only the priority matters. */
  readonly isPlain: boolean;
  /** @internal How many attempts were in vain: its worker was lost, or it has failed. */
  losses = 0;
  /**
   * @internal While it runs: when the controller gives the task up, on `performance.now()`; the
   * worker should do so before. Once a worker has answered it: minus the µs that it ran. (One field
   * more would be 48 bytes more.)
   */
  deadline = Infinity;
  /**
   * @internal The result of a task that is done, the value to throw for one that failed or was
   * cancelled. Until it is settled: when it was queued (`queuedAt`), for the numbers of the pool.
   */
  outcome: unknown = undefined;
  /** @internal Made on first use: a task nobody looks at has no promise, and rejects nothing. */
  waiter: Waiter | null = null;

  /** @internal */
  constructor(order: number, fn: KnownFunction, options: TaskOptions) {
    this.order = order;
    this.fn = fn;
    this.options = options;
    // Read often: of a million tasks that wait none is in the cache, and `options` would be one
    // object more to fetch for each.
    this.isPlain = options.timeout === Infinity && options.retries === 0 && options.signal === null;
  }

  /** @internal The task's number on the wire; never a reserved one. */
  get id(): number {
    return idOf(this.order);
  }

  /** @internal Its place among those of equal priority that wait: its order, but for children. */
  get rank(): number {
    return this.order;
  }

  /** @internal How many calls it stands for; see `chunk.ts`. */
  get count(): number {
    return 1;
  }

  /** @internal The place of that number's call among its calls; -1 where it is none of them. */
  offsetOf(id: number): number {
    return id === this.id ? 0 : -1;
  }

  /** @internal */
  get priority(): number {
    return this.options.priority;
  }

  /** @internal */
  get settled(): boolean {
    return this.state !== "queued" && this.state !== "running";
  }

  /** @internal How many of its calls are settled when it is: those that were not settled before. */
  get left(): number {
    return 1;
  }

  /** @internal While it is not settled: when it was queued, on `performance.now()`. */
  get queuedAt(): number {
    return this.outcome as number;
  }

  /** @internal A worker has answered the task, which ran for so many µs there. */
  ran(us: number): void {
    this.deadline = -us;
  }

  /** @internal ms that it ran, where a worker has said so; see `deadline`. */
  get ranFor(): number | null {
    return this.settled && this.deadline <= 0 ? -this.deadline / 1000 : null;
  }

  /** @internal For messages: `task 17 (render)`. */
  get label(): string {
    return `task ${this.order} (${this.fn.label})`;
  }
}

export const DEFAULT_TASK: TaskOptions = Object.freeze({
  timeout: Infinity,
  priority: 0,
  retries: 0,
  signal: null,
  worker: null,
  retryOn: null,
  onReport: null,
});
