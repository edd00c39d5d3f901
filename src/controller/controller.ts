import type { WorkerState } from "../scheduler/observer.ts";
import { FrameReceiver, type ReceiverOwner } from "./receiver.ts";
import { type Initializer, Lifecycle, type LifecycleOwner } from "./lifecycle.ts";
import { Reclaimer } from "./reclaimer.ts";
import { Supervisor, type SupervisorOwner } from "./supervisor.ts";
import { Timekeeper, type TimekeeperOwner } from "./timekeeper.ts";
import { QueueLimit } from "./queue-limit.ts";
import { notifyWaiter, promiseOf, AllSettled } from "./settlement.ts";
import { Condition } from "./condition.ts";
import { BlockingWait } from "./blocking-wait.ts";
import type { Connection } from "./connection.ts";
import { Failures } from "./failures.ts";
import { Retries } from "./retries.ts";
import { CancelledError } from "../errors.ts";
import { ItemCalls, type ItemsOwner } from "./item-calls.ts";
import { Estimates } from "../scheduler/estimates.ts";
import type { FunctionRecord } from "../function/record.ts";
import { MessageHandle, type TaskOwner } from "../handle.ts";
import { sharesPids } from "../os/identity.ts";
import type { DrainSettings, PoolLimits, Unhandled } from "../options.ts";
import { performance, Promise, queueMicrotask } from "../os/natives.ts";
import { hasStack, needStack } from "../os/stack.ts";
import { FrameSender } from "./sender.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import { isAborted, reasonOf, AbortSignals } from "./abort-signals.ts";
import type { Backend } from "../backend/backend.ts";
import type { Task, TaskOptions } from "../scheduler/task.ts";
import { tornIn, ValueEncoder } from "./values.ts";
import { firstOrder } from "../wire/task-id.ts";
import { Watch } from "../watch/watch.ts";

/**
 * The pool's engine: takes calls, asks the scheduler, acts on its answers. The road of a call:
 *
 *   submit → scheduler → sender.ts → link ~~~~~~~▶ worker/session.ts → worker/call.ts
 *   #settle ◀── receiver.ts ◀─────── link ◀~~~~~~~┘
 *
 * The supervisor has the workers, the lifecycle the state of the pool.
 */
export class Controller implements TaskOwner {
  readonly #backend: Backend;
  readonly #scheduler: Scheduler;
  readonly #estimates = new Estimates();
  readonly #values: ValueEncoder;
  readonly #sender: FrameSender;
  readonly #signals = new AbortSignals((task, reason) => this.#stop(task, () => reason));
  readonly #supervisor: Supervisor;
  readonly #reclaimer: Reclaimer;
  readonly #receiver: FrameReceiver;
  readonly #timekeeper: Timekeeper;
  readonly #lifecycle: Lifecycle;
  readonly #blockingWait: BlockingWait;
  #order = firstOrder();
  #pending = 0;
  /** A dispatch is due, in a microtask. */
  #flushing = false;
  /** Tasks may start that no dispatch has looked at yet. */
  #mayStart = false;
  /** Notified when the last pending task is settled, or a worker's state changes. */
  readonly #condition = new Condition(() => this.#backend.wake());
  readonly #queueLimit: QueueLimit;
  readonly #allSettled = new AllSettled();
  /** The calls of maps. */
  readonly items: ItemCalls;
  /** What the pool counts of itself. */
  readonly watch = new Watch();
  readonly #failures: Failures;
  readonly #retries: Retries;

  constructor(backend: Backend, limits: PoolLimits, drain: DrainSettings, unhandled: Unhandled) {
    this.#backend = backend;
    this.#scheduler = new Scheduler(limits.concurrency);
    this.#values = new ValueEncoder(backend.recordOf);
    this.#sender = new FrameSender(this.#values);
    this.#queueLimit = new QueueLimit(limits.queue, this.#scheduler, {
      dispatch: () => this.#dispatch(),
      isClosed: () => !this.#lifecycle.state.takesCalls,
    });
    const owner = this.#ownerOfParts();
    const failures = (this.#failures = new Failures(unhandled));
    this.#retries = new Retries(this.#scheduler, {
      ...owner,
      fail: (task, error) => this.#settle(task, "failed", error),
      again: (task, error) => this.watch.again(task, () => error),
    });
    const own = {
      ...{ backend, limits, drain, failures, scheduler: this.#scheduler, values: this.#values },
      ...{ sender: this.#sender, condition: this.#condition, watch: this.watch },
    };
    const supervisor = new Supervisor(own, owner);
    const seen = { ...own, connections: supervisor.connections };
    const reclaimer = new Reclaimer(seen, () => this.#lifecycle.cancelRequeued());
    const parts = { ...own, supervisor, reclaimer };
    this.#supervisor = supervisor;
    this.#reclaimer = reclaimer;
    this.#receiver = new FrameReceiver(parts, owner);
    this.#timekeeper = new Timekeeper(parts, owner);
    this.#lifecycle = new Lifecycle(parts, owner);
    const kept = { backend, reclaimer, retries: this.#retries, timekeeper: this.#timekeeper };
    this.#blockingWait = new BlockingWait({ ...kept, callbacks: this.watch.callbacks }, () => {
      // Due in a microtask: this turn may not end before the result is there.
      if (this.#mayStart) this.#dispatch();
    });
    this.items = new ItemCalls(
      { ...parts, estimates: this.#estimates, queueLimit: this.#queueLimit },
      this.#ownerOfItems(),
    );
    backend.attach(this);
  }

  /** The callbacks of the pool's parts. */
  #ownerOfParts(): SupervisorOwner & ReceiverOwner & TimekeeperOwner & LifecycleOwner {
    return {
      onMessage: (connection, bytes, length, buffers) =>
        this.#receiver.receive(connection, bytes, length, buffers),
      onPause: () => this.#dispatch(),
      onStillAt: (connection, at) => {
        this.#reclaimer.onStillAt(connection, at);
        this.#dispatch();
      },
      onTorn: (connection, buffer) => {
        const task = this.#reclaimer.recallTorn(connection, buffer);
        if (task !== undefined) this.#stop(task, () => tornIn(task.payload, buffer), "failed");
      },
      isIdle: () => this.#pending === 0,
      needsWorkers: () => this.#lifecycle.state.needsWorkers(this.#pending),
      mayStartAgain: () => this.#lifecycle.state.drained === null,
      settle: (task, state, outcome) => this.#settle(task, state, outcome),
      fail: (task, worker, error) =>
        this.#settle(task, "failed", this.#values.withOrigin(error, task, worker)),
      failOrRetry: (task, error) => this.#retries.failOrAsk(task, error),
      break: (error) => this.#lifecycle.break(error),
      dispatch: () => this.#dispatch(),
      onChanged: () => this.#changed(),
      onGone: () => {
        this.#lifecycle.cancelRequeued();
        this.#changed();
        this.#dispatch();
      },
      onReleased: () => {
        this.#failures.end(this.#lifecycle.state.isTerminated);
        this.watch.close(this.#lifecycle.state.isTerminated);
        this.#retries.stop();
        this.#timekeeper.stop();
        this.#backend.close();
      },
    };
  }

  #ownerOfItems(): ItemsOwner {
    return {
      takeOrders: (count) => (this.#order += count) - count,
      refusal: (fn) => this.#lifecycle.state.refusal(fn),
      admit: (chunk) => this.#admit(chunk),
      count: (part) => this.#count(part),
      cancel: (task, reason) => this.cancel(task, reason),
      settle: (task) => this.#settle(task, "done", undefined),
    };
  }

  /** Names a function that is to be called. */
  get recordOf(): ValueEncoder["recordOf"] {
    return this.#values.recordOf;
  }

  /** The workers, in the order of their indices. */
  get connections(): readonly Connection[] {
    return this.#supervisor.connections;
  }

  /** True while answers are expected: there is reason to look for messages. */
  get isExpecting(): boolean {
    return this.#pending > 0 || this.#condition.hasWaiters;
  }

  /** True if every worker is on this machine, and rings the doorbell when it sends. */
  get isOnOneHost(): boolean {
    return this.connections.every(({ greeting }) => sharesPids(greeting));
  }

  /** Connects `workers` workers; resolves when all serve and have run the initializer. */
  async open(workers: number, initializer: Initializer | null, timeout: number): Promise<void> {
    await this.#lifecycle.open(workers, initializer, timeout);
    this.watch.open();
  }

  submit(fn: FunctionRecord, args: unknown[], options: TaskOptions): MessageHandle<unknown> {
    this.#refuseIfClosed(fn);
    this.#queueLimit.refuseIfFull(fn);
    const task = new MessageHandle<unknown>(this.#order++, this.#estimates.of(fn), options, this);
    // After a silence the worker sleeps: it wakes while the call is encoded and sent.
    const next = this.#pending === 0 ? this.#scheduler.sets.firstIdle.peek() : undefined;
    if (next !== undefined) this.connections[next.index]!.link?.prewake();
    try {
      task.payload = this.#values.keep(args);
    } catch (error) {
      this.#refuse(task, "failed", error);
      return task;
    }
    // Getters among the arguments have submitted other tasks.
    if (task.order !== this.#order - 1) this.#queueLimit.refuseIfFull(fn);
    this.#admit(task);
    return task;
  }

  /** Submits a call to every worker, before all else there. Throws before any is submitted. */
  submitToAll(fn: FunctionRecord, args: unknown[], options: TaskOptions): Task[] {
    needStack();
    this.#refuseIfClosed(fn);
    const payload = this.#values.keep(args);
    const workers = [...this.#scheduler.workers];
    this.#queueLimit.refuseIfFull(fn, workers.length);
    const known = this.#estimates.of(fn);
    return workers.map(({ index: worker }) => {
      const own = { ...options, worker, priority: -Infinity };
      const task = new MessageHandle<unknown>(this.#order++, known, own, this);
      task.payload = payload;
      this.#admit(task);
      return task;
    });
  }

  /**
   * Queues a task, as a whole or not at all. Getters of its arguments may have closed the pool, or
   * aborted its signal: the handle is then settled with that. From here on none of the program's
   * code runs.
   */
  #admit(task: Task): void {
    const refusal = this.#lifecycle.state.refusal(task.fn);
    if (refusal !== null) return this.#refuse(task, "failed", refusal.error);
    const { signal } = task.options;
    if (signal !== null && isAborted(signal))
      return this.#refuse(task, "cancelled", reasonOf(signal));
    try {
      if (signal !== null) this.#signals.watch(signal, task);
      if (this.#pending === 0) this.#timekeeper.watch();
      this.#scheduler.submit(task);
    } catch (error) {
      // The stack is full. No call is made here: there may be no room for one.
      this.#scheduler.moveTask(task, "failed");
      task.outcome = error;
      task.payload = null;
      throw error;
    }
    this.#count(task);
    try {
      const now = this.watch.queued(task, this.#scheduler.sets.hasIdle);
      if (now === null) return this.#dispatchSoon();
      if (hasStack(now)) this.#dispatch(now);
      else this.#dispatchSoon();
    } catch {
      this.#mayStart = true;
      queueMicrotask(this.#catchUp);
    }
  }

  /** One more task is pending. */
  #count(task: Task): void {
    this.#pending++;
    if (this.#allSettled.isAwaited) this.#allSettled.add(task);
  }

  progress(): void {
    this.#blockingWait.progress();
  }

  waitFor(task: Task, deadline: number): void {
    this.#blockingWait.waitFor(task, deadline);
  }

  promise(task: Task): Promise<unknown> {
    return promiseOf(task);
  }

  cancel(task: Task, reason: unknown): boolean {
    needStack();
    const options = reason === undefined ? undefined : { cause: reason };
    return this.#stop(task, () => new CancelledError(`${task.label} was cancelled`, options));
  }

  /** Resolves when all is settled that was submitted so far. */
  idle(): Promise<void> {
    return this.#allSettled.wait(this.#order, this.#pending);
  }

  /** Waits until every submitted task is settled, then releases the workers. */
  close(): Promise<void> {
    return this.#lifecycle.close();
  }

  /** Cancels every queued and running task, and releases the workers at once. */
  terminate(reason: unknown): Promise<void> {
    return this.#lifecycle.terminate(reason);
  }

  stateOf(connection: Connection): WorkerState {
    return this.#supervisor.stateOf(connection);
  }

  #refuseIfClosed(fn: FunctionRecord): void {
    const refusal = this.#lifecycle.state.refusal(fn);
    if (refusal !== null) throw refusal.error;
  }

  /** Starts what can be started, and sends what was written. */
  #dispatch(now = performance.now()): void {
    this.#mayStart = false;
    for (let task = this.#scheduler.next(now); task !== null; task = this.#scheduler.next(now)) {
      this.#send(task);
    }
    this.#sender.flush();
    if (this.#scheduler.sets.mayHelp) this.#reclaimer.recalls.watch(now);
    this.#timekeeper.setAlarm(now);
    if (this.#pending > 0) this.#backend.wake();
    if (this.#queueLimit.isAwaited) this.#queueLimit.check();
  }

  /** Sends a task, or fails it where its arguments cannot be sent any more. */
  #send(task: Task): void {
    try {
      this.#sender.call(this.connections[task.record!.index]!, task);
    } catch (error) {
      this.#scheduler.withdraw(task);
      this.#settle(task, "failed", error);
    }
  }

  #dispatchSoon(): void {
    if (this.#flushing || !this.#scheduler.sets.hasRoom) return;
    this.#flushing = true;
    this.#mayStart = true;
    queueMicrotask(this.#catchUp);
  }

  readonly #catchUp = (): void => {
    this.#flushing = false;
    this.#dispatch();
  };

  #settle(task: Task, state: "done" | "failed" | "cancelled", outcome: unknown): void {
    if (task.state !== state) this.#scheduler.moveTask(task, state);
    this.watch.settled(task, state, outcome);
    task.outcome = outcome;
    task.payload = null;
    if (!task.isPlain && task.options.signal) this.#signals.forget(task.options.signal, task);
    // Counted first: resolving a promise with an object reads its `then`, which may be a getter.
    const isLast = --this.#pending === 0;
    if (task.waiter !== null) notifyWaiter(task.waiter, task);
    if (state === "failed") this.#failures.note(task);
    if (this.#allSettled.isAwaited) this.#allSettled.settle(task);
    if (isLast) this.#changed();
  }

  /** Settles a task that was never queued. */
  #refuse(task: Task, state: "failed" | "cancelled", error: unknown): void {
    this.#scheduler.moveTask(task, state);
    this.watch.refused(task, state, error);
    task.outcome = error;
    task.payload = null;
    if (state === "failed") this.#failures.note(task);
  }

  /** Settles a task that is not wanted any more; false if it was settled before. */
  #stop(
    task: Task,
    makeError: () => unknown,
    state: "cancelled" | "failed" = "cancelled",
  ): boolean {
    if (task.settled) return false;
    // Before anything is changed: the program may have replaced `Error` or parts of it.
    const error = makeError();
    const what = this.#scheduler.cancel(task, performance.now());
    if (what === "settled") return false;
    if (what === "interrupt") {
      const connection = this.connections[task.record!.index]!;
      this.#reclaimer.interrupt(connection, task);
      this.#timekeeper.onInterrupted(connection);
    }
    this.#settle(task, state, error);
    this.#dispatch();
    return true;
  }

  #changed(): void {
    this.#condition.notify();
    if (this.#queueLimit.isAwaited) this.#queueLimit.check();
    if (!this.isExpecting) this.#backend.unref();
  }
}
