import type { Encoded } from "./codec/value.ts";
import type { FunctionRecord } from "./function/reference.ts";
import { INITIALIZER } from "./wire.ts";

/** Where a task is in its life; the drawing in docs/design.md has the arrows. */
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
}

/** What waits for a task: the two ends of one promise. */
export interface Waiter {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * One call, from `async` until it is settled. A plain record, kept small: a program may queue a
 * million of them. `state` is changed by the scheduler alone, `outcome` by the pool that settles it.
 */
export class Task {
  /** Order of submission, and the task's number on the wire (there modulo 2^32 - 1). */
  readonly order: number;
  readonly fn: FunctionRecord;
  readonly options: TaskOptions;
  /** The arguments: as they are when all are immutable, else encoded at the call; null once settled. */
  payload: unknown[] | Encoded | null;
  state: TaskState = "queued";
  worker: WorkerRecord | null = null;
  /** How many workers it has cost. */
  losses = 0;
  /** When the controller gives the task up, on `performance.now()`; the worker should do so before. */
  deadline = Infinity;
  /** The result of a task that is done, what to throw for one that failed or was cancelled. */
  outcome: unknown = undefined;
  /** Made when somebody first asks: a task nobody looks at has no promise, and rejects nothing. */
  waiter: (Waiter & { promise: Promise<unknown> }) | null = null;

  constructor(
    order: number,
    fn: FunctionRecord,
    payload: unknown[] | Encoded,
    options: TaskOptions,
  ) {
    this.order = order;
    this.fn = fn;
    this.payload = payload;
    this.options = options;
  }

  get id(): number {
    return this.order % INITIALIZER;
  }

  get priority(): number {
    return this.options.priority;
  }

  get settled(): boolean {
    return this.state !== "queued" && this.state !== "running";
  }

  /** For messages: `task 17 (render)`. */
  get label(): string {
    return `task ${this.order} (${this.fn.label})`;
  }
}

/** A worker as the scheduler sees it. */
export class WorkerRecord {
  readonly index: number;
  /** Sent and not answered, in the order of sending: the first one is what it runs. */
  readonly inFlight: Task[] = [];
  /** Tasks for this worker and no other. */
  readonly pinned: Task[] = [];
  /** µs that each of `inFlight` was expected to take when it was sent, and their sum. */
  readonly costs: number[] = [];
  load = 0;
  set: Set<WorkerRecord>;
  /** When to replace it unless it has answered by then; Infinity when it is not overdue. */
  stuckAt = Infinity;

  constructor(index: number, set: Set<WorkerRecord>) {
    this.index = index;
    this.set = set;
  }
}
