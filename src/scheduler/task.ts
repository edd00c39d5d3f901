import type { Encoded } from "../codec/value.ts";
import type { KnownFunction } from "./estimates.ts";
import { idOf } from "../wire/task-id.ts";
import { Fifo } from "../collections/fifo.ts";
import { costOf, IN_FLIGHT_US, sum } from "./costs.ts";

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
}

/**
 * The arguments of a task until it is sent: encoded at the call where one of them could change;
 * else a list as it is; or the one argument itself, if it is the only one, and no object.
 */
export type Payload = Encoded | readonly unknown[] | string | number | boolean | bigint;

/** Bytes to be sent of an encoded payload; 0 of any other, which has no buffers. */
export function bytesOf(payload: Payload | null): number {
  if (payload === null || typeof payload !== "object" || !("buffers" in payload)) return 0;
  return payload.buffers.reduce((sum, { byteLength }) => sum + byteLength, payload.body.byteLength);
}

/** Hears of the end of a task: the two functions of its promise, or others. */
export interface Waiter {
  readonly promise: Promise<unknown> | null;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
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
  record: WorkerRecord | null = null;
  /** @internal It has no timeout, retries or signal: of its options only the priority matters. */
  readonly isPlain: boolean;
  /** @internal How many workers were lost while they ran it. */
  losses = 0;
  /**
   * @internal When the controller gives the task up, on `performance.now()`; the worker should do
   * so before.
   */
  deadline = Infinity;
  /**
   * @internal The result of a task that is done, the value to throw for one that failed or was
   * cancelled.
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

  /** @internal */
  get priority(): number {
    return this.options.priority;
  }

  /** @internal */
  get settled(): boolean {
    return this.state !== "queued" && this.state !== "running";
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
});

/**
 * The timeout of a call counts only while it is `begun`: its arguments may take their time to
 * arrive, and so may its result.
 */
export type WorkerStage = "sent" | "begun" | "returned";

/** A worker as the scheduler sees it. */
export class WorkerRecord {
  readonly index: number;
  /** Sent and not answered, in the order of sending; see `running`. */
  readonly inFlight = new Fifo<Task>();
  /** Tasks for this worker and no other. */
  readonly pinned: Task[] = [];
  /** µs that each of `inFlight` was expected to take when it was sent, and their sum. */
  readonly costs = new Fifo<number>();
  load = 0;
  set: Set<WorkerRecord>;
  /** When to replace it unless it has answered; Infinity when it owes nothing overdue. */
  stuckAt = Infinity;
  /** How many tasks it may still be sent. */
  quota = Infinity;
  /** How far it has come with a call that has a timeout, as it has reported. */
  stage: WorkerStage = "sent";
  /**
   * Its reports can be seen, so that unbegun calls can be reclaimed while a call holds its thread.
   * Known before it serves.
   */
  isSeen = true;
  /** Its unbegun calls were recalled, and it has not acknowledged that yet. */
  recalled = false;

  constructor(index: number, set: Set<WorkerRecord>) {
    this.index = index;
    this.set = set;
  }

  /** The task that it runs, as far as is known without its reports: the first in flight. */
  get running(): Task | undefined {
    return this.inFlight.at(0);
  }

  /** Whether the task that it runs is still wanted. */
  get runsWanted(): boolean {
    return this.running?.settled === false;
  }

  /** Whether it has to answer before it is sent more. */
  get isOwing(): boolean {
    return this.recalled || (this.running?.settled ?? false);
  }

  /** Where a task is among those in flight; -1 where it is not. */
  indexOf(id: number): number {
    if (this.running?.id === id) return 0;
    return this.inFlight.findIndex((task) => task.id === id);
  }

  /** A task is sent to it. */
  push(task: Task): void {
    const cost = costOf(task);
    this.quota--;
    this.inFlight.push(task);
    this.costs.push(cost);
    this.load += cost;
  }

  /** It has answered the task at that place. */
  removeAt(index: number): Task {
    const task = this.inFlight.remove(index);
    const cost = this.costs.remove(index);
    // Sums of fractions drift, and Infinity minus Infinity is no number: summed anew where it is
    // cheap.
    if (this.inFlight.length < 2 || cost > IN_FLIGHT_US) this.load = sum(this.costs);
    else this.load -= cost;
    return task;
  }

  /** Takes all that is in flight. */
  takeAll(): Task[] {
    this.costs.takeAll();
    this.load = 0;
    return this.inFlight.takeAll();
  }

  /** Puts back what `takeAll` has taken, at the costs that are known by now. */
  keep(tasks: readonly Task[]): void {
    for (const task of tasks) {
      this.inFlight.push(task);
      this.costs.push(costOf(task));
    }
    this.load = sum(this.costs);
  }

  /** Looks up the costs of the tasks in flight anew. */
  reprice(): void {
    for (let i = 0; i < this.inFlight.length; i++) this.costs.set(i, costOf(this.inFlight.at(i)!));
    this.load = sum(this.costs);
  }
}
