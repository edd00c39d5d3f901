import { MessageHandle, type TaskOwner } from "../handle.ts";
import type { FunctionRecord } from "../function/record.ts";
import { needStack } from "../os/stack.ts";
import { ChildTask } from "../scheduler/child-task.ts";
import type { Estimates } from "../scheduler/estimates.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { Task, TaskOptions } from "../scheduler/task.ts";
import { firstOrder } from "../wire/task-id.ts";
import { type AbortSignals, isAborted, reasonOf } from "./abort-signals.ts";
import type { Connection } from "./connection.ts";
import type { Failures } from "./failures.ts";
import type { QueueLimit } from "./queue-limit.ts";
import type { Watch } from "../watch/watch.ts";
import type { ValueEncoder } from "./values.ts";

/** The parts of the pool that take calls in. */
interface AdmissionParts {
  readonly scheduler: Scheduler;
  readonly estimates: Estimates;
  readonly values: ValueEncoder;
  readonly queueLimit: QueueLimit;
  readonly signals: AbortSignals;
  readonly failures: Failures;
  readonly connections: readonly Connection[];
  readonly watch: Watch;
}

/** The controller, which sends tasks and settles them; handles ask it. */
export interface AdmissionOwner extends TaskOwner {
  /** Why a call of `fn` is refused; null where it is not. */
  refusal(fn: FunctionRecord): { readonly error: unknown } | null;
  isIdle(): boolean;
  /** The first task that is not settled is about to be queued. */
  onFirst(): void;
  /** One more task is pending. */
  count(task: Task): void;
  /** A task has been queued, at `now` if a worker may start it at once. */
  onQueued(now: number | null): void;
}

/** Takes calls in: numbers, refuses and queues them. */
export class Admission {
  readonly #parts: AdmissionParts;
  readonly #owner: AdmissionOwner;
  /** Of the next task. */
  #order = firstOrder();
  /** When the last one was queued; null where no worker was idle. */
  #queuedAt: number | null = null;

  constructor(parts: AdmissionParts, owner: AdmissionOwner) {
    this.#parts = parts;
    this.#owner = owner;
  }

  /** The order of the next task. */
  get order(): number {
    return this.#order;
  }

  /** Numbers `count` tasks: the order of the first. */
  takeOrders(count: number): number {
    return (this.#order += count) - count;
  }

  submit(fn: FunctionRecord, args: unknown[], options: TaskOptions): MessageHandle<unknown> {
    const { queueLimit, estimates, scheduler, connections, values } = this.#parts;
    const owner = this.#owner;
    this.#refuseIfClosed(fn);
    queueLimit.refuseIfFull(fn);
    const task = new MessageHandle<unknown>(this.#order++, estimates.of(fn), options, owner);
    // After a silence the worker sleeps: it wakes while the call is encoded and sent.
    const next = owner.isIdle() ? scheduler.sets.firstIdle.peek() : undefined;
    if (next !== undefined) connections[next.index]!.link?.prewake();
    try {
      task.payload = values.keep(args);
    } catch (error) {
      this.#refuse(task, "failed", error);
      return task;
    }
    // Getters among the arguments have submitted other tasks.
    if (task.order !== this.#order - 1) queueLimit.refuseIfFull(fn);
    this.admit(task);
    return task;
  }

  /** Submits a call to every worker, before all else there. Throws before any is submitted. */
  submitToAll(fn: FunctionRecord, args: unknown[], options: TaskOptions): Task[] {
    needStack();
    this.#refuseIfClosed(fn);
    const { values, scheduler, queueLimit, estimates } = this.#parts;
    const payload = values.keep(args);
    const workers = [...scheduler.workers];
    queueLimit.refuseIfFull(fn, workers.length);
    const known = estimates.of(fn);
    return workers.map(({ index: worker }) => {
      const own = { ...options, worker, priority: -Infinity };
      const task = new MessageHandle<unknown>(this.#order++, known, own, this.#owner);
      task.payload = payload;
      this.admit(task);
      return task;
    });
  }

  /**
   * Queues a task, as a whole or not at all. Getters of its arguments may have closed the pool, or
   * aborted its signal: the handle is then settled with that. From here on none of the program's
   * code runs.
   */
  admit(task: Task): void {
    const refusal = this.#owner.refusal(task.fn);
    if (refusal !== null) return this.#refuse(task, "failed", refusal.error);
    if (this.queue(task)) this.#owner.onQueued(this.#queuedAt);
  }

  /** Queues a task that is not refused; false where its signal has aborted. */
  queue(task: Task): boolean {
    const { signal } = task.options;
    if (signal !== null && isAborted(signal)) {
      this.#refuse(task, "cancelled", reasonOf(signal));
      return false;
    }
    const { scheduler, signals } = this.#parts;
    try {
      if (signal !== null) signals.watch(signal, task);
      if (this.#owner.isIdle()) this.#owner.onFirst();
      scheduler.submit(task);
    } catch (error) {
      // The stack is full. No call is made here: there may be no room for one.
      scheduler.moveTask(task, "failed");
      task.outcome = error;
      task.payload = null;
      throw error;
    }
    this.#owner.count(task);
    this.#queuedAt = this.#parts.watch.queued(task, scheduler.sets.hasIdle);
    return true;
  }

  #refuseIfClosed(fn: FunctionRecord): void {
    const refusal = this.#owner.refusal(fn);
    if (refusal !== null) throw refusal.error;
  }

  /** Settles a task that was never queued. */
  #refuse(task: Task, state: "failed" | "cancelled", error: unknown): void {
    this.#parts.scheduler.moveTask(task, state);
    this.#parts.watch.refused(task, state, error);
    task.outcome = error;
    task.payload = null;
    if (task instanceof ChildTask) task.reject();
    if (state === "failed") this.#parts.failures.note(task);
  }
}
