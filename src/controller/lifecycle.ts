import { CancelledError, TimeoutError, PoolClosedError } from "../errors.ts";
import { performance } from "../os/natives.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { Task } from "../scheduler/task.ts";
import { Kind } from "../wire/frames.ts";
import type { Condition } from "./condition.ts";
import { describe } from "./connection.ts";
import { DrainSignals } from "./drain-signals.ts";
import type { Failures } from "./failures.ts";
import { notStarted } from "./lost.ts";
import type { FrameSender, InitialCall } from "./sender.ts";
import type { Supervisor } from "./supervisor.ts";
import type { ValueEncoder } from "./values.ts";
import type { DrainSettings } from "../options.ts";
import type { FunctionRecord } from "../function/record.ts";

/** A function and its arguments, to be run on each worker before anything else. */
export type Initializer = readonly [((...args: never[]) => unknown) | string, ...unknown[]];

/** The parts of the pool that the lifecycle uses. */
interface LifecycleParts {
  readonly scheduler: Scheduler;
  readonly sender: FrameSender;
  readonly values: ValueEncoder;
  readonly supervisor: Supervisor;
  readonly condition: Condition;
  readonly drain: DrainSettings;
  readonly failures: Failures;
}

/** The controller, which settles tasks. */
export interface LifecycleOwner {
  /** Whether every task is settled. */
  isIdle(): boolean;
  settle(task: Task, state: "failed" | "cancelled", outcome: unknown): void;
  /** The pool is broken. */
  onChanged(): void;
  /** Every worker is released: no message is expected any more. */
  onReleased(): void;
}

/** Opens a pool and ends it: by `close`, by `terminate`, or by a drain signal. */
export class Lifecycle {
  readonly state = new PoolState();
  readonly #parts: LifecycleParts;
  readonly #owner: LifecycleOwner;
  readonly #signals: DrainSignals;
  /** Resolves when a drain signal has had its effect. */
  #drained: Promise<void> | null = null;

  constructor(parts: LifecycleParts, owner: LifecycleOwner) {
    this.#parts = parts;
    this.#owner = owner;
    const { signals, timeout } = parts.drain;
    this.#signals = new DrainSignals(signals, timeout, {
      onFirst: (signal) => {
        this.#drained = this.#drain(signal, timeout);
      },
      onAgain: (signal) => {
        if (this.state.isDraining) void this.#end(`${signal} came twice`, { cause: signal });
      },
    });
  }

  /** Connects `workers` workers; resolves when all serve and have run the initializer. */
  async open(workers: number, initializer: Initializer | null, timeout: number): Promise<void> {
    const { supervisor, scheduler, condition } = this.#parts;
    const initial = this.#initialCall(initializer);
    const { state } = this;
    this.#signals.listen();
    try {
      supervisor.start(workers, initial, timeout);
    } catch (error) {
      state.terminate();
      await this.#release(true);
      throw notStarted(workers, supervisor.connections.length, error);
    }
    const deadline = performance.now() + timeout;
    await condition.wait(
      () => state.broken !== null || scheduler.sets.starting.size === 0,
      deadline,
    );
    const late = supervisor.unready;
    if (state.broken === null && late.length === 0) return state.open();
    state.terminate();
    const names = late.map((connection) => describe(connection)).join(", ");
    await this.#release(true);
    if (state.broken !== null) throw state.broken.error;
    throw new TimeoutError(
      `Cannot open a pool of ${workers} workers: ${names} did not answer within ${timeout} ms; ` +
        "see whether the program reaches AsyncPool.open there, and what its initializer waits for",
    );
  }

  #initialCall(initializer: Initializer | null): InitialCall | null {
    if (initializer === null) return null;
    const { values } = this.#parts;
    const [fn, ...args] = initializer;
    const content = values.encodeKept(args, "initializer");
    return { fn: values.recordOf(fn), content };
  }

  /** Waits until every submitted task is settled, then releases the workers. */
  async close(): Promise<void> {
    this.state.close();
    this.#owner.onChanged();
    const { condition, failures, scheduler } = this.#parts;
    const unwatch = failures.watchClosing((visit) => scheduler.forEachUnsettled(visit));
    await condition.wait(() => this.#owner.isIdle(), Infinity);
    unwatch();
    if (this.state.isClosing) await this.#release(false);
    else await this.#drained;
  }

  /** Cancels every queued and running task, and releases the workers at once. */
  async terminate(reason: unknown): Promise<void> {
    const options = reason === undefined ? undefined : { cause: reason };
    await this.#end("its pool was terminated", options);
  }

  /** Ends the pool at once. */
  async #end(why: string, options: ErrorOptions | undefined): Promise<void> {
    this.state.terminate();
    this.#owner.onChanged();
    await this.#cancelAll(why, options);
  }

  /** Starts no more tasks, gives running ones `timeout` ms, and cancels the rest. */
  async #drain(signal: string, timeout: number): Promise<void> {
    const { state } = this;
    const isDraining = state.drain(signal);
    if (!state.hasOpened) {
      return this.break(
        new CancelledError(`Cannot open a pool: ${signal} came meanwhile`, { cause: signal }),
      );
    }
    if (!isDraining) return;
    this.#owner.onChanged();
    this.#sayDraining(signal, timeout);
    this.cancelRequeued();
    const deadline = performance.now() + timeout;
    await this.#parts.condition.wait(() => this.#owner.isIdle(), deadline);
    if (state.isTerminated) return;
    if (this.#owner.isIdle()) return await this.#release(false);
    const why = `${signal} came, and it did not end within ${timeout} ms`;
    await this.#cancelAll(why, { cause: signal });
  }

  #sayDraining(signal: string, timeout: number): void {
    const { scheduler } = this.#parts;
    const running = scheduler.workers.filter(({ inFlight }) => inFlight.length > 0).length;
    const queued = scheduler.queued;
    process.stderr.write(
      `bsync: ${signal} came: no more tasks start, and ${queued} that wait are cancelled; ` +
        `${running} running ones have ${timeout} ms; ${signal} once more ends them at once\n`,
    );
  }

  /** Makes the pool unusable: every unsettled task fails with `error`. */
  break(error: unknown): void {
    this.state.break(error);
    for (const task of this.#parts.scheduler.drain()) this.#owner.settle(task, "failed", error);
    this.#owner.onChanged();
  }

  /** In a draining pool, cancels every queued task, requeued ones included. */
  cancelRequeued(): void {
    const signal = this.state.drained;
    if (signal === null) return;
    for (const task of this.#parts.scheduler.drainQueue()) {
      const message = `${task.label} was cancelled: ${signal} came, and no more tasks start`;
      this.#owner.settle(task, "cancelled", new CancelledError(message, { cause: signal }));
    }
  }

  async #cancelAll(why: string, options: ErrorOptions | undefined): Promise<void> {
    const { scheduler, sender, supervisor } = this.#parts;
    for (const task of scheduler.drain()) {
      const { record } = task;
      if (record !== null) {
        sender.cancel(supervisor.connections[record.index]!, task);
      }
      const error = new CancelledError(`${task.label} was cancelled: ${why}`, options);
      this.#owner.settle(task, "cancelled", error);
    }
    await this.#release(true);
  }

  /** Releases every worker; with `now`, without waiting for those that are busy. */
  async #release(now: boolean): Promise<void> {
    await this.#parts.supervisor.release(now);
    this.#signals.stop();
    this.#owner.onReleased();
  }
}

/**
 * The state of a pool:
 *
 *   opening ──every worker serves──▶ open ──close──▶ closing ──────────────────────┐
 *      └──────────────┴───────────────┴──a drain signal──▶ draining ──time is over──┤
 *                     └──terminate────────┴──────────────────────┴──────▶ terminated
 *
 * A pool may also be broken: it runs nothing, and every call fails with the reason. A broken pool
 * is closed like any other.
 */
export class PoolState {
  #state: "opening" | "open" | "closing" | "draining" | "terminated" = "opening";
  #hasOpened = false;
  #broken: { readonly error: unknown } | null = null;
  #drained: string | null = null;
  /** Whether calls are not refused: asked at each of them, and so kept beside the state. */
  #takesCalls = true;

  /** Every worker has served once. */
  get hasOpened(): boolean {
    return this.#hasOpened;
  }

  get isClosing(): boolean {
    return this.#state === "closing";
  }

  get isDraining(): boolean {
    return this.#state === "draining";
  }

  get isTerminated(): boolean {
    return this.#state === "terminated";
  }

  /** Why the pool is broken; null if it is not. */
  get broken(): { readonly error: unknown } | null {
    return this.#broken;
  }

  /** The drain signal that came; null for none. */
  get drained(): string | null {
    return this.#drained;
  }

  open(): void {
    this.#hasOpened = true;
    if (this.#state === "opening") this.#state = "open";
  }

  close(): void {
    if (this.#state === "open" || this.#state === "opening") this.#state = "closing";
    this.#takesCalls = false;
  }

  /** Starts to drain; false where the pool is broken or terminated. */
  drain(signal: string): boolean {
    this.#drained = signal;
    this.#takesCalls = false;
    if (this.#broken !== null || this.isTerminated) return false;
    this.#state = "draining";
    return true;
  }

  terminate(): void {
    this.#state = "terminated";
    this.#takesCalls = false;
  }

  break(error: unknown): void {
    this.#broken ??= { error };
    this.#takesCalls = false;
  }

  /** Whether a lost worker is to be replaced: calls may come, or `pending` ones wait. */
  needsWorkers(pending: number): boolean {
    if (this.#broken !== null || this.#state === "draining") return false;
    return this.#state === "opening" || this.#state === "open" || pending > 0;
  }

  /** Whether calls are not refused. */
  get takesCalls(): boolean {
    return this.#takesCalls;
  }

  /** Why a call of `fn` is refused; null where it is not. */
  refusal(fn: FunctionRecord): { readonly error: unknown } | null {
    if (this.#takesCalls) return null;
    if (this.#broken !== null) return this.#broken;
    return { error: new PoolClosedError(`Cannot call ${fn.label}: the pool was ${this.#how}`) };
  }

  /** The same of a task's call: the tasks that run may end what they have begun. */
  refusalWithin(fn: FunctionRecord): { readonly error: unknown } | null {
    const isEnding = this.#drained !== null || this.isTerminated || this.#broken !== null;
    return isEnding ? this.refusal(fn) : null;
  }

  get #how(): string {
    if (this.#drained !== null) return `closed by ${this.#drained}`;
    return this.#state === "closing" ? "closed" : "terminated";
  }
}
