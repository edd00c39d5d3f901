import { Alarm } from "./alarm.ts";
import { decodeThrown } from "../codec/thrown.ts";
import type { Encoded } from "../codec/value.ts";
import { Condition } from "./condition.ts";
import { type Connection, describe, newConnection } from "./connection.ts";
import { debug } from "../os/debug.ts";
import { DrainSignals } from "./drain-signals.ts";
import { PROGRAM_OVER, type ExitStatus } from "../os/exit.ts";
import {
  BsyncError,
  CancelledError,
  PoolClosedError,
  QueueFullError,
  TimeoutError,
} from "../errors.ts";
import { Estimates } from "../scheduler/estimates.ts";
import type { FunctionRecord } from "../function/record.ts";
import { MessageHandle, type TaskOwner } from "../handle.ts";
import { takeIn } from "../link/link.ts";
import { Liveness } from "./liveness.ts";
import { sharesPids } from "../os/identity.ts";
import {
  LoadFailures,
  startsExhausted,
  lostWhileLoading,
  lostWhileRunning,
  neverServed,
  notReplaced,
  notStarted,
  START_TRIES,
  diedUnused,
} from "./lost.ts";
import type { DrainSettings, PoolLimits } from "../options.ts";
import { newPromise, performance, Promise, queueMicrotask } from "../os/natives.ts";
import { hasStack, needStack } from "../os/stack.ts";
import { isWatched, whole } from "../os/whole.ts";
import { GOODBYE_MS } from "../os/waits.ts";
import { type InitialCall, FrameSender } from "./sender.ts";
import { Recalls } from "./recalls.ts";
import { Scheduler, type Verdict } from "../scheduler/scheduler.ts";
import { isAborted, reasonOf, AbortSignals } from "./abort-signals.ts";
import type { Backend } from "../backend/backend.ts";
import type { Task, TaskOptions, WorkerRecord } from "../scheduler/task.ts";
import { pathOf, torn, ValueEncoder } from "./values.ts";
import { Kind, type Rules } from "../wire/messages.ts";
import { Activity, firstOrder, INITIALIZER } from "../wire/task-id.ts";
import { readGreeting } from "../wire/greeting.ts";
import { type Frame, readFrames } from "../wire/reader.ts";
import { MessageWriter } from "../wire/writer.ts";

/** A function and its arguments, to be run on each worker before anything else. */
type Initializer = readonly [((...args: never[]) => unknown) | string, ...unknown[]];

/**
 * ms between two looks at whether workers live, for callers that keep the event loop from telling.
 */
const CHECK_ALIVE_MS = 50;

/**
 * The pool's engine: opens links, asks the scheduler, acts on its answers. The road of a call:
 *
 *   submit → scheduler → outgoing.ts → link ~~~~~~~▶ worker/session.ts → worker/call.ts
 *   #settle ◀── #take ◀── onMessage ◀── link ◀~~~~~~~┘
 */
export class Controller implements TaskOwner {
  readonly connections: Connection[] = [];
  readonly #backend: Backend;
  readonly #limits: PoolLimits;
  readonly #scheduler = new Scheduler();
  readonly #estimates = new Estimates();
  readonly #values = new ValueEncoder();
  readonly #sender = new FrameSender(this.#values);
  readonly #signals = new AbortSignals((task, reason) => this.#abort(task, reason));
  readonly #alarm = new Alarm(() => this.#ring());
  readonly #liveness = new Liveness(
    this.connections,
    // A worker that does not say that it knows of a recall is replaced, though nobody waits for it.
    () => this.#pending > 0 || this.connections.some(({ record }) => record.recalled),
    (connection) => this.#onHolding(connection),
  );
  readonly #recalls = new Recalls(this.#scheduler, this.connections, {
    recall: (connection) => this.#recall(connection),
    takeBack: (connection) => this.#takeBack(connection),
  });
  readonly #loads = new LoadFailures();
  #initializer: InitialCall | null = null;
  /** ms that a worker may take to answer and to run its initializer. */
  #openTimeout = Infinity;
  #order = firstOrder();
  #pending = 0;
  /** A dispatch is due, in a microtask. */
  #flushing = false;
  /** It was not done in another way since. */
  #mayStart = false;
  /** Every worker has served. */
  #opened = false;
  #checkedAlive = 0;
  #closed: "open" | "closing" | "draining" | "terminated" = "open";
  readonly #drain: DrainSettings;
  readonly #drainSignals: DrainSignals;
  /** The signal that came, and when all that follows from it is done. */
  #drained: { readonly signal: string; readonly done: Promise<void> } | null = null;
  /** Why nothing can be done any more. */
  #broken: { readonly error: unknown } | null = null;
  /** The last pending task was settled, or a worker's state has changed. */
  readonly #condition = new Condition(() => this.#backend.wake());

  constructor(outside: Backend, limits: PoolLimits, drain: DrainSettings) {
    this.#backend = outside;
    this.#limits = limits;
    this.#drain = drain;
    this.#drainSignals = new DrainSignals(drain.signals, drain.timeout, (signal) => {
      this.#drained = { signal, done: this.#comeToAnEnd(signal) };
    });
    outside.attach(this);
  }

  /** True while answers are expected: there is reason to look for messages. */
  get isExpecting(): boolean {
    return this.#pending > 0 || this.#condition.hasWaiters;
  }

  /** True if every worker is on this machine, and rings when it has something to say. */
  get isOnOneHost(): boolean {
    return this.connections.every(({ greeting }) => sharesPids(greeting));
  }

  /** Connects `workers` workers; resolves when all serve and have run the initializer. */
  async open(workers: number, initializer: Initializer | null, timeout: number): Promise<void> {
    if (initializer !== null) {
      const [fn, ...args] = initializer;
      const content = this.#values.encodeKept(args, "initializer");
      this.#initializer = { fn: this.#values.functionRecord(fn), content };
    }
    this.#openTimeout = timeout;
    this.#drainSignals.listen();
    try {
      for (let i = 0; i < workers; i++) this.#connect(this.#scheduler.add());
    } catch (error) {
      this.#closed = "terminated";
      await this.#letGo(true);
      throw notStarted(workers, this.connections.length, error);
    }
    const deadline = performance.now() + timeout;
    await this.#condition.wait(
      () => this.#broken !== null || this.#scheduler.starting === 0,
      deadline,
    );
    const late = this.#unready();
    if (this.#broken === null && late.length === 0) {
      this.#opened = true;
      return;
    }
    this.#closed = "terminated";
    const names = late.map((connection) => describe(connection)).join(", ");
    await this.#letGo(true);
    if (this.#broken !== null) throw this.#broken.error;
    throw new TimeoutError(
      `Cannot open a pool of ${workers} workers: ${names} did not answer within ${timeout} ms; ` +
        "see whether the program reaches AsyncPool.open there, and what its initializer waits for",
    );
  }

  submit(fn: FunctionRecord, args: unknown[], options: TaskOptions): MessageHandle<unknown> {
    this.#refuseIfClosed(fn);
    if (this.#limits.queue !== Infinity) this.#refuseIfFull(fn);
    const task = new MessageHandle<unknown>(this.#order++, this.#estimates.of(fn), options, this);
    // After a silence the worker sleeps; what is done from here to the sending is done while it
    // wakes.
    if (this.#pending === 0) this.#rouse(this.#scheduler.firstIdle);
    try {
      task.payload = this.#values.keep(args);
    } catch (error) {
      refuse(task, "failed", error);
      return task;
    }
    // Getters among the arguments have submitted others.
    if (task.order !== this.#order - 1) this.#refuseIfFull(fn);
    this.#admit(task);
    return task;
  }

  #rouse(worker: WorkerRecord | undefined): void {
    if (worker !== undefined) this.connections[worker.index]!.link?.prewake();
  }

  /**
   * Submits a call to every worker; in the order of the workers. Throws before any is submitted.
   */
  submitToAll(fn: FunctionRecord, args: unknown[], options: TaskOptions): Task[] {
    needStack();
    this.#refuseIfClosed(fn);
    const payload = this.#values.keep(args);
    const workers = [...this.#scheduler.workers];
    this.#refuseIfFull(fn, workers.length);
    const known = this.#estimates.of(fn);
    return workers.map((worker) => {
      const task = new MessageHandle<unknown>(this.#order++, known, options, this);
      task.payload = payload;
      this.#admit(task, worker);
      return task;
    });
  }

  /**
   * Queues a task, as a whole or not at all. What has run until now to read its arguments may have
   * closed the pool, or aborted its signal: then the handle tells. From here on none of the
   * program's code runs.
   */
  #admit(task: MessageHandle<unknown>, worker?: WorkerRecord): void {
    if (this.#closed !== "open" || this.#broken !== null) {
      return refuse(task, "failed", this.#broken?.error ?? this.#closedError(task.fn));
    }
    const { signal } = task.options;
    if (signal !== null && isAborted(signal)) return refuse(task, "cancelled", reasonOf(signal));
    try {
      if (signal !== null) this.#signals.watch(signal, task);
      if (this.#pending === 0) this.#liveness.watch();
      if (worker === undefined) this.#scheduler.submit(task);
      else this.#scheduler.submitTo(worker, task);
    } catch (error) {
      // The stack is full. No call is made here: there may be no room for one.
      task.state = "failed";
      task.outcome = error;
      task.payload = null;
      throw error;
    }
    this.#pending++;
    try {
      if (!this.#scheduler.hasIdle) return this.#dispatchSoon();
      const now = performance.now();
      if (hasStack(now)) this.#dispatch(now);
      else this.#dispatchSoon();
    } catch {
      this.#mayStart = true;
      queueMicrotask(this.#catchUp);
    }
  }

  progress(): void {
    if (hasStack()) this.#lookAround();
  }

  readonly #lookAround = (): void => {
    // What waits for the end of this turn, which may not come before the result.
    if (this.#mayStart) this.#dispatch();
    this.#backend.poll();
    this.#ring();
    const now = performance.now();
    this.#liveness.lookInTime(now);
    if (now - this.#checkedAlive < CHECK_ALIVE_MS) return;
    this.#checkedAlive = now;
    this.#backend.checkAlive();
  };

  waitFor(task: Task, deadline: number): void {
    needStack();
    // Answers of short calls come within µs; for others, naps that grow to 5 ms cost little.
    const start = performance.now();
    for (;;) {
      if (isWatched) whole(this.#lookAround);
      else this.#lookAround();
      const now = performance.now();
      if (task.settled || now >= deadline) return;
      const waited = now - start;
      if (waited <= 0.2) continue;
      const next = Math.min(deadline, this.#recalls.nextLook);
      this.#backend.wait(Math.min(Math.max(0, next - now), waited / 8, 5));
    }
  }

  promise(task: Task): Promise<unknown> {
    if (task.waiter !== null) return task.waiter.promise;
    if (task.settled) {
      return task.state === "done" ? Promise.resolve(task.outcome) : Promise.reject(task.outcome);
    }
    task.waiter = newPromise<unknown>();
    return task.waiter.promise;
  }

  cancel(task: Task, reason: unknown): boolean {
    needStack();
    const options = reason === undefined ? undefined : { cause: reason };
    return this.#stop(task, () => new CancelledError(`${task.label} was cancelled`, options));
  }

  /** Waits until all that was submitted is settled, then lets the workers go. */
  async close(): Promise<void> {
    if (this.#closed === "open") this.#closed = "closing";
    await this.#condition.wait(() => this.#pending === 0, Infinity);
    if (this.#closed === "closing") await this.#letGo(false);
    else await this.#drained?.done;
  }

  /** Cancels what is queued and what runs, and lets the workers go at once. */
  async terminate(reason: unknown): Promise<void> {
    this.#closed = "terminated";
    const options = reason === undefined ? undefined : { cause: reason };
    await this.#terminate("its pool was terminated", options);
  }

  async #terminate(why: string, options: ErrorOptions | undefined): Promise<void> {
    for (const task of this.#scheduler.drain()) {
      const running = task.record !== null;
      if (running) this.#sender.write(this.connections[task.record!.index]!, Kind.Cancel, task.id);
      const error = new CancelledError(`${task.label} was cancelled: ${why}`, options);
      this.#settle(task, "cancelled", error);
    }
    await this.#letGo(true);
  }

  /** A signal has come: nothing more starts, what runs has its time, the rest is cancelled. */
  async #comeToAnEnd(signal: string): Promise<void> {
    if (!this.#opened) {
      return this.#break(
        new CancelledError(`Cannot open a pool: ${signal} came meanwhile`, { cause: signal }),
      );
    }
    if (this.#broken !== null || this.#isTerminated) return;
    this.#closed = "draining";
    this.#cancelQueue(signal);
    const { timeout } = this.#drain;
    await this.#condition.wait(() => this.#pending === 0, performance.now() + timeout);
    if (this.#isTerminated) return;
    if (this.#pending === 0) return await this.#letGo(false);
    const why = `${signal} came, and it did not end within ${timeout} ms`;
    await this.#terminate(why, { cause: signal });
  }

  get #isTerminated(): boolean {
    return this.#closed === "terminated";
  }

  #cancelQueue(signal: string): void {
    for (const task of this.#scheduler.drainQueue()) {
      const message = `${task.label} was cancelled: ${signal} came, and no more tasks start`;
      this.#settle(task, "cancelled", new CancelledError(message, { cause: signal }));
    }
  }

  stateOf(connection: Connection): "starting" | "idle" | "busy" | "overdue" | "gone" {
    return this.#scheduler.stateOf(connection.record);
  }

  #refuseIfClosed(fn: FunctionRecord): void {
    if (this.#broken !== null) throw this.#broken.error;
    if (this.#closed !== "open") throw this.#closedError(fn);
  }

  #closedError(fn: FunctionRecord): PoolClosedError {
    const how =
      this.#drained !== null
        ? `closed by ${this.#drained.signal}`
        : this.#closed === "closing"
          ? "closed"
          : "terminated";
    return new PoolClosedError(`Cannot call ${fn.label}: the pool was ${how}`);
  }

  /** `calls` more: each waits in the queue that no idle worker can take. */
  #refuseIfFull(fn: FunctionRecord, calls = 1): void {
    const { queue } = this.#limits;
    if (this.#scheduler.queued + calls <= queue) return;
    // Workers with short calls in flight may be about to be sent more.
    needStack();
    this.#dispatch();
    const { queued, idle } = this.#scheduler;
    if (queued + Math.max(0, calls - idle) <= queue) return;
    throw new QueueFullError(
      `Cannot call ${fn.label}: ${queued} tasks wait for a worker, and queueLimit is ${queue}; ` +
        "wait until some are settled, or raise it",
    );
  }

  #connect(record: WorkerRecord, vain = 0): void {
    const link = this.#backend.connect(record.index, {
      onMessage: (bytes, length, buffers) => this.#onMessage(connection, bytes, length, buffers),
      onPause: () => this.#dispatch(),
      onStalled: (task) => {
        if (record.inFlight.findIndex(({ id }) => id === task) < 0) link.kill?.(task);
      },
      onStillAt: (at) => this.#onHeld(connection, at),
      onTorn: (buffer) => this.#onTorn(connection, buffer),
      onLost: (ending) => this.#onLost(connection, ending),
    });
    const connection: Connection = newConnection({
      record,
      link,
      rank: this.#backend.rankOf(record.index),
      host: this.#backend.hostOf(record.index),
      writer: new MessageWriter(link.session ?? this.#backend.session),
      failedStarts: vain,
    });
    this.connections[record.index] = connection;
    // A process can be replaced, a rank cannot.
    const { tasksPerWorker, memoryPerWorker } = this.#limits;
    const isProcess = link.kill !== undefined;
    if (isProcess) this.#scheduler.allow(record, tasksPerWorker);
    const rules: Rules = {
      maxMemory: isProcess ? memoryPerWorker : Infinity,
      drainSignals: this.#drain.signals,
    };
    const opening = this.#values.encode({ ...this.#backend.opening, ...rules }, "opening");
    this.#sender.write(connection, Kind.Open, record.index, connection.rank ?? -1, opening);
    if (this.#initializer !== null) this.#sender.initialize(connection, this.#initializer);
    this.#sender.flush();
  }

  #onMessage(
    connection: Connection,
    bytes: Uint8Array,
    length: number,
    buffers: Uint8Array[],
  ): void {
    try {
      const now = performance.now();
      readFrames(bytes, length, buffers, (frame) => this.#take(connection, frame, now));
    } catch (error) {
      if (!(error instanceof BsyncError)) throw error;
      connection.link?.kill?.();
      this.#onLost(connection, { exitCode: null, signal: null, text: error.message });
    }
  }

  #take(connection: Connection, frame: Frame, now: number): void {
    const { record } = connection;
    switch (frame.kind) {
      case Kind.Ready:
        connection.greeting = readGreeting(this.#values.decode(frame));
        connection.link?.meet(connection.greeting);
        if (this.#initializer === null) this.#ready(connection);
        return;
      case Kind.Started:
        return this.#scheduler.started(record, frame.task, now);
      case Kind.Finished:
        return this.#scheduler.finished(record, frame.task, now);
      case Kind.Closed:
        connection.isDone = true;
        if (this.#needed) this.#goodbye(connection);
        return this.#changed();
      case Kind.Recalled:
        if (record.recalled) this.#giveBack(record, frame.task);
        this.#scheduler.resume(record);
        if (record.quota <= 0) this.#retire(connection);
        return;
      case Kind.OverMemory:
        this.#scheduler.spend(record);
        return this.#retire(connection);
      case Kind.Result:
      case Kind.Failure: {
        if (frame.task === INITIALIZER) return this.#initialized(connection, frame);
        const task = this.#scheduler.answered(record, frame.task, frame.number, now);
        if (task !== null) this.#settleBy(connection, task, frame);
        connection.hasAnswered = true;
        if (record.quota <= 0) this.#retire(connection);
      }
    }
  }

  #settleBy(connection: Connection, task: Task, frame: Frame): void {
    const failed = frame.kind === Kind.Failure;
    let outcome: unknown;
    try {
      outcome = failed ? this.#thrown(connection, frame.content, task) : this.#values.decode(frame);
    } catch (error) {
      return this.#settle(task, "failed", error);
    }
    this.#settle(task, failed ? "failed" : "done", outcome);
  }

  /** What a task has thrown; without one, the initializer. */
  #thrown(connection: Connection, content: Encoded, task?: Task): unknown {
    const origin = (): string => {
      const { fn, content } = this.#initializer ?? {};
      const call =
        task === undefined
          ? `initializer: ${this.#values.shown(fn?.label ?? "", content ?? null)}`
          : `task ${task.order}: ${this.#values.shown(task.fn.label, task.payload)}`;
      return `${call} on ${describe(connection)}`;
    };
    return decodeThrown(content, this.#values.decoding, origin);
  }

  #initialized(connection: Connection, frame: Frame): void {
    if (this.#scheduler.stateOf(connection.record) !== "starting") return;
    if (frame.kind === Kind.Result) return this.#ready(connection);
    this.#break(this.#thrown(connection, frame.content));
  }

  #ready(connection: Connection): void {
    connection.record.isSeen = connection.link?.isSeen ?? false;
    this.#scheduler.ready(connection.record);
    connection.readyAt = performance.now();
    this.#changed();
    debug(`${describe(connection)} is ready`);
  }

  /**
   * A worker that has had all the tasks it may have is let go, once it has answered the last one.
   */
  #retire(connection: Connection): void {
    if (!this.#scheduler.retire(connection.record, performance.now())) return;
    this.#sender.write(connection, Kind.Close, 0);
  }

  /**
   * A worker goes while there is something to do: one that was not let go, or owes answers, is lost
   * as any other.
   */
  #goodbye(connection: Connection): void {
    const { record, rank, link } = connection;
    if (record.inFlight.length === 0 && this.#scheduler.isRetiring(record)) {
      return this.#renew(connection);
    }
    link?.kill?.();
    const text = "said goodbye";
    this.#onLost(connection, rank === null ? { exitCode: null, signal: null, text } : PROGRAM_OVER);
  }

  /** One that was let go is replaced. */
  #renew(connection: Connection): void {
    this.#scheduler.lose(connection.record);
    this.#disconnect(connection);
    this.#replace(connection);
  }

  /** Another one in its place has as much time to come to serve as the first ones had. */
  #replace(connection: Connection, vain = 0): void {
    const lateAt = performance.now() + this.#openTimeout;
    const record = this.#scheduler.replace(connection.record, lateAt);
    try {
      this.#connect(record, vain);
    } catch (error) {
      this.#scheduler.lose(record);
      this.#break(notReplaced(connection, error));
    }
  }

  /** Whether there is, or may be, something to do for a worker. */
  get #needed(): boolean {
    if (this.#broken !== null || this.#closed === "draining") return false;
    return this.#closed === "open" || this.#pending > 0;
  }

  #onLost(connection: Connection, ending: ExitStatus): void {
    const { record } = connection;
    if (this.#scheduler.stateOf(record) === "gone") return;
    const told = connection.link?.currentTask;
    const loading =
      told === Activity.Loading ? record.inFlight.find(({ settled }) => !settled) : null;
    const lost = this.#scheduler.lose(record, told);
    connection.isDone = true;
    this.#disconnect(connection);
    for (const task of lost) {
      if (++task.losses <= task.options.retries && this.#drained === null) {
        this.#scheduler.submitAgain(task);
      } else {
        this.#settle(task, "failed", lostWhileRunning(task, connection, ending));
      }
    }
    if (loading && this.#loads.cost(loading)) {
      this.#scheduler.cancel(loading, 0);
      this.#settle(loading, "failed", lostWhileLoading(loading, connection, ending));
    }
    const isVain = lost.length === 0 && !loading && diedUnused(connection, performance.now());
    const vain = isVain ? connection.failedStarts + 1 : 0;
    if (this.#needed) {
      if (vain >= START_TRIES) this.#break(startsExhausted(connection, ending));
      else this.#replace(connection, vain);
    }
    if (this.#drained !== null) this.#cancelQueue(this.#drained.signal);
    this.#changed();
    this.#dispatch();
  }

  /** Nothing can be done any more: all that waits is settled with the reason. */
  #break(error: unknown): void {
    this.#broken ??= { error };
    for (const task of this.#scheduler.drain()) this.#settle(task, "failed", error);
    this.#changed();
  }

  /** Starts what can be started, and sends what was written. */
  #dispatch(now = performance.now()): void {
    this.#mayStart = false;
    for (let task = this.#scheduler.next(now); task !== null; task = this.#scheduler.next(now)) {
      this.#send(task);
    }
    this.#sender.flush();
    if (this.#scheduler.mayHelp) this.#recalls.watch(now);
    this.#setAlarm(now);
    if (this.#pending > 0) this.#backend.wake();
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
    if (this.#flushing || !this.#scheduler.hasRoom) return;
    this.#flushing = true;
    this.#mayStart = true;
    queueMicrotask(this.#catchUp);
  }

  readonly #catchUp = (): void => {
    this.#flushing = false;
    this.#dispatch();
  };

  #settle(task: Task, state: "done" | "failed" | "cancelled", outcome: unknown): void {
    task.state = state;
    task.outcome = outcome;
    task.payload = null;
    if (!task.isPlain && task.options.signal) this.#signals.forget(task.options.signal, task);
    // First: to resolve a promise with an object runs what `then` of it is, be it a getter.
    const isLast = --this.#pending === 0;
    const { waiter } = task;
    if (waiter !== null) {
      if (state === "done") waiter.resolve(outcome);
      else waiter.reject(outcome);
    }
    if (isLast) this.#changed();
  }

  #abort(task: Task, reason: unknown): void {
    this.#stop(task, () => reason);
  }

  /**
   * A task's memory is gone while it is being sent: it fails. Its worker, which takes in zeros in
   * the place of what is missing, begins nothing that it was sent, where it can see that.
   */
  #onTorn(connection: Connection, buffer: Uint8Array): void {
    const { record } = connection;
    const found = record.inFlight.find(({ payload }) => pathOf(payload, buffer) !== null);
    if (found === undefined) return;
    if (!record.recalled) this.#recall(connection);
    this.#stop(found, () => torn(buffer, pathOf(found.payload, buffer)!), "failed");
  }

  /** Settles a task that is not wanted any more; false if it was settled. */
  #stop(
    task: Task,
    makeError: () => unknown,
    state: "cancelled" | "failed" = "cancelled",
  ): boolean {
    if (task.settled) return false;
    // Before anything is changed: errors are made with what the program has made of `Error`.
    const error = makeError();
    const what = this.#scheduler.cancel(task, performance.now());
    if (what === "settled") return false;
    if (what === "interrupt") {
      const connection = this.connections[task.record!.index]!;
      this.#sender.write(connection, Kind.Cancel, task.id);
      // It is stuck if it moves nothing from here on.
      this.#liveness.resetProgress(connection);
    }
    this.#settle(task, state, error);
    this.#dispatch();
    return true;
  }

  #ring(): void {
    const now = performance.now();
    const verdicts = this.#scheduler.due(now, this.#moves);
    for (const verdict of verdicts) this.#execute(verdict);
    const isTaken = this.#recalls.due(now);
    if (verdicts.length > 0 || isTaken) this.#dispatch();
    else this.#setAlarm(now);
  }

  #setAlarm(now: number): void {
    this.#alarm.set(Math.min(this.#scheduler.nextDeadline, this.#recalls.nextLook), now);
  }

  readonly #moves = (worker: WorkerRecord): boolean => {
    const connection = this.connections[worker.index]!;
    if (connection.record !== worker) return false;
    return this.#liveness.hasProgressed(connection) || connection.link?.isHeldByWrite === true;
  };

  #execute(verdict: Verdict): void {
    const connection = this.connections[verdict.worker.index]!;
    // A process can be replaced; a rank that is stuck is left alone until it answers.
    if (verdict.kind === "stuck") {
      const told = connection.link?.currentTask;
      // One that runs a call behind the settled one has gone on: the answer is on its way.
      const { inFlight } = verdict.worker;
      const begun = inFlight.findIndex(({ id }) => id === told);
      if (begun <= 0) connection.link?.kill?.(inFlight.at(0)?.id);
      return;
    }
    if (verdict.kind === "late") {
      connection.link?.kill?.();
      return this.#onLost(connection, neverServed(connection, this.#openTimeout));
    }
    const { task, stage } = verdict;
    this.#sender.write(connection, Kind.Cancel, task.id);
    this.#liveness.resetProgress(connection);
    const { timeout } = task.options;
    const where = describe(connection);
    const message = {
      sent: `${where} was sent it, and has not begun it long after its timeout of ${timeout} ms`,
      begun: `it ran longer than its timeout of ${timeout} ms on ${where}, which does not answer`,
      returned: `it has ended on ${where}, but its result does not arrive`,
    }[stage];
    this.#settle(task, "failed", new TimeoutError(`Cannot finish ${task.label}: ${message}`));
  }

  /**
   * A worker is at one call for long, or does not begin any: others do what it was sent besides.
   */
  #onHolding(connection: Connection): void {
    const now = performance.now();
    this.#recalls.recall(connection, now);
    this.#setAlarm(now);
  }

  /** What it was sent and has not begun is recalled. */
  #recall(connection: Connection): void {
    const { record, link } = connection;
    this.#scheduler.recall(record);
    this.#sender.flush();
    this.#sender.write(connection, Kind.Recall, link?.recall?.() ?? 0);
    this.#sender.flush();
  }

  /**
   * A recalled worker begins nothing more. What it has begun it tells, but not before it has sent
   * the answers before that.
   */
  #takeBack(connection: Connection): boolean {
    const { record, link } = connection;
    const told = link?.currentTask;
    if (told === undefined) return true;
    takeIn(this.#backend);
    if (!record.recalled) return true;
    const isBegun = record.inFlight.findIndex(({ id }) => id === told) >= 0;
    if (!isBegun && !link?.isCaughtUp) return false;
    this.#giveBack(record, told);
    return true;
  }

  /**
   * Of what a recalled worker was sent all is queued again that lies behind what it is at; where
   * nothing more starts, it is cancelled.
   */
  #giveBack(record: WorkerRecord, at: number): void {
    const { inFlight } = record;
    const isLoading = at === Activity.Loading;
    // What it loads is for the first one, and would have to be loaded elsewhere, too.
    const begun = isLoading ? (inFlight.at(0)?.id ?? Activity.Idle) : at;
    const elapsed = isLoading ? NaN : this.#recalls.heldFor(record, performance.now());
    if (inFlight.findIndex(({ id }) => id === begun) < 0) this.#recalls.wasInVain([...inFlight]);
    this.#scheduler.reclaim(record, begun, elapsed);
    if (this.#drained !== null) this.#cancelQueue(this.#drained.signal);
  }

  /**
   * The rank of a worker has seen that it does not move on from `at`: a recalled one begins nothing
   * behind that.
   */
  #onHeld({ record }: Connection, at: number): void {
    if (record.recalled) this.#giveBack(record, at);
    this.#dispatch();
  }

  #disconnect({ link }: Connection): void {
    if (link === null) return;
    link.close();
    this.#backend.disconnect(link);
  }

  /** Says goodbye to every worker; `now` does not wait for those that have something to do. */
  async #letGo(now: boolean): Promise<void> {
    const left = this.connections.filter((connection) => !connection.isDone);
    for (const connection of left) {
      // One that does nothing goes by itself, and so does what it has written.
      if (now && this.stateOf(connection) !== "idle") connection.link?.kill?.();
      this.#sender.write(connection, Kind.Close, 0);
    }
    this.#sender.flush();
    const wait = now ? GOODBYE_MS / 10 : GOODBYE_MS;
    const gone = (connection: Connection) =>
      connection.isDone || this.stateOf(connection) === "overdue";
    // Asked at each goodbye: it goes on with the one that it waited for, and all are looked at in
    // the end.
    let next = 0;
    const allGone = () => {
      while (next < left.length && gone(left[next]!)) next++;
      if (next < left.length) return false;
      next = 0;
      return left.every(gone);
    };
    await this.#condition.wait(allGone, performance.now() + wait);
    for (const connection of left) {
      if (!connection.isDone && !connection.link?.isHeldByWrite) connection.link?.kill?.();
      this.#disconnect(connection);
    }
    for (const { record } of this.connections) this.#scheduler.lose(record);
    this.#alarm.clear();
    this.#liveness.rest();
    this.#recalls.rest();
    this.#drainSignals.rest();
    this.#backend.leave();
  }

  #unready(): Connection[] {
    return this.connections.filter((connection) => this.stateOf(connection) === "starting");
  }

  #changed(): void {
    this.#condition.notify();
    if (!this.isExpecting) this.#backend.unref();
  }
}

/** A task that was never queued. */
function refuse(task: Task, state: "failed" | "cancelled", error: unknown): void {
  task.state = state;
  task.outcome = error;
  task.payload = null;
}
