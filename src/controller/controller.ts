import type { WorkerState } from "../scheduler/observer.ts";
import { FrameReceiver, type ReceiverOwner } from "./receiver.ts";
import { type Initializer, Lifecycle, type LifecycleOwner } from "./lifecycle.ts";
import { Children } from "./children.ts";
import { Admission, type AdmissionOwner } from "./admission.ts";
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
import type { PoolSettings } from "../options.ts";
import { performance, Promise, queueMicrotask } from "../os/natives.ts";
import { hasStack, needStack } from "../os/stack.ts";
import { FrameSender } from "./sender.ts";
import { Sharing } from "./sharing.ts";
import { Scheduler } from "../scheduler/scheduler.ts";
import { isAborted, reasonOf, AbortSignals } from "./abort-signals.ts";
import type { Backend } from "../backend/backend.ts";
import type { Task, TaskOptions } from "../scheduler/task.ts";
import { tornIn, ValueEncoder } from "./values.ts";
import { firstOrder } from "../wire/task-id.ts";
import { Watch } from "../watch/watch.ts";
import { ChildTask } from "../scheduler/child-task.ts";

type ControllerSettings = Pick<PoolSettings, "limits" | "drain" | "unhandled" | "task">;

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
  #pending = 0;
  /** A dispatch is due, in a microtask. */
  #flushing = false;
  /** Tasks may start that no dispatch has looked at yet. */
  #mayStart = false;
  /** Notified when the last pending task is settled, or a worker's state changes. */
  readonly #condition = new Condition(() => this.#backend.wake());
  readonly #queueLimit: QueueLimit;
  readonly #allSettled = new AllSettled();
  /** The calls of the program. */
  readonly calls: Admission;
  /** The calls of maps. */
  readonly items: ItemCalls;
  readonly sharing: Sharing;
  /** What the pool counts of itself. */
  readonly watch = new Watch();
  readonly #failures: Failures;
  readonly #retries: Retries;

  readonly #newChildren: () => Children;
  /** Null before a task has submitted one. */
  #children: Children | null = null;

  constructor(backend: Backend, { limits, drain, unhandled, task: defaults }: ControllerSettings) {
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
    this.sharing = new Sharing({ ...own, supervisor }, () => this.#lifecycle.state.takesCalls);
    const parts = { ...own, supervisor, reclaimer, sharing: this.sharing };
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
    const taken = { ...parts, ...seen, estimates: this.#estimates, queueLimit: this.#queueLimit };
    this.calls = new Admission({ ...taken, signals: this.#signals }, this.#ownerOfCalls());
    this.items = new ItemCalls(taken, this.#ownerOfItems());
    this.#newChildren = () =>
      new Children(
        { ...taken, defaults },
        {
          takeOrder: () => this.calls.takeOrders(1),
          refusal: (fn) => this.#lifecycle.state.refusalWithin(fn),
          admit: (child) => void this.calls.queue(child),
          stop: (child, makeError) => void this.#stop(child, makeError),
          settle: (child, to) => this.#settle(child, to, undefined),
        },
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
      failOrRetry: (task, error) => this.#failOrRetry(task, error),
      break: (error) => this.#lifecycle.break(error),
      children: () => (this.#children ??= this.#newChildren()),
      dispatch: () => this.#dispatch(),
      onChanged: () => this.#changed(),
      onGone: (connection) => {
        this.#children?.lost(connection);
        this.#lifecycle.cancelRequeued();
        this.#changed();
        this.#dispatch();
      },
      onReleased: () => {
        this.#failures.end(this.#lifecycle.state.isTerminated);
        this.watch.close(this.#lifecycle.state.isTerminated);
        this.#retries.stop();
        this.#timekeeper.stop();
        this.sharing.end();
        this.#backend.close();
      },
    };
  }

  #ownerOfCalls(): AdmissionOwner {
    return {
      refusal: (fn) => this.#lifecycle.state.refusal(fn),
      isIdle: () => this.#pending === 0,
      onFirst: () => this.#timekeeper.watch(),
      count: (task) => this.#count(task),
      onQueued: (now) => this.#onQueued(now),
      progress: () => this.progress(),
      waitFor: (task, deadline) => this.waitFor(task, deadline),
      cancel: (task, reason) => this.cancel(task, reason),
      promise: (task) => this.promise(task),
    };
  }

  #ownerOfItems(): ItemsOwner {
    return {
      takeOrders: (count) => this.calls.takeOrders(count),
      refusal: (fn) => this.#lifecycle.state.refusal(fn),
      admit: (chunk) => this.calls.admit(chunk),
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

  #onQueued(now: number | null): void {
    try {
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
    return this.#allSettled.wait(this.calls.order, this.#pending);
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
    this.#leaveChildren(task);
    if (state === "failed") this.#failures.note(task);
    if (this.#allSettled.isAwaited) this.#allSettled.settle(task);
    if (isLast) this.#changed();
  }

  #failOrRetry(task: Task, error: unknown): void {
    // Should it start again, it knows nothing of the children that it has had.
    this.#leaveChildren(task);
    this.#retries.failOrAsk(task, error);
  }

  /** A run of a task is over. */
  #leaveChildren(task: Task): void {
    if (this.#children !== null && task.record !== null)
      this.#children.over(task, this.connections[task.record.index]!);
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
