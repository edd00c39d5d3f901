import { bindToProcess } from "./codec/refusal.ts";
import { madeWithoutFrames, ProcException, show, TimeoutError } from "./errors.ts";
import type { KnownFunction } from "./scheduler/estimates.ts";
import { clearTimeout, performance, Promise, setTimeout } from "./os/natives.ts";
import { isWatched, whole } from "./os/whole.ts";
import { listenTo } from "./watch/reports.ts";
import {
  noteAsked,
  type OnReport,
  Task,
  type TaskOptions,
  type TaskState,
} from "./scheduler/task.ts";
import { timerDelay } from "./os/waits.ts";

/** What a handle asks of its pool. */
export interface TaskOwner {
  /** Receives what workers have sent, as far as it is there. Does not block. */
  progress(task: Task): void;
  /**
   * Blocks the thread until the task is settled, or `deadline` (of `performance.now()`) is past.
   */
  waitFor(task: Task, deadline: number): void;
  /** Settles the task with `CancelledError`; false if it was settled before. */
  cancel(task: Task, reason: unknown): boolean;
  /** The task's promise, which keeps the program running while it is awaited. */
  promise(task: Task): Promise<unknown>;
}

/**
 * How to wait for a result.
 *
 * @example
 * const options: GetOptions = { timeout: 500, reraise: false };
 */
export interface GetOptions {
  /**
   * Reject with the error the function threw (the default), or with a `ProcException` around it.
   */
  readonly reraise?: boolean;
  /** ms to wait at most, then `TimeoutError`; no limit by default. The task goes on. */
  readonly timeout?: number;
}

/**
 * One submitted call, and in time its result.
 *
 * @example
 * const handle = pool.async(square, 4);
 * handle.state; // "queued" or "running"
 * await handle.get(); // 16, as `await handle` is
 */
export class MessageHandle<T> extends Task implements Promise<T> {
  readonly #owner: TaskOwner;

  /** @internal Handles are made by `pool.async`. */
  constructor(order: number, fn: KnownFunction, options: TaskOptions, owner: TaskOwner) {
    super(order, fn, options);
    this.#owner = owner;
  }

  /**
   * The result. Rejects with the error the function threw, or with the `BsyncError` that says why
   * there is no result. A handle that nobody asks rejects nothing. May be called as often as
   * wanted.
   *
   * @example
   * await handle.get({ timeout: 500 }); // TimeoutError if it is not settled in half a second
   *
   * @example
   * const failure = await handle.get({ reraise: false }).catch((e) => e);
   * if (failure instanceof ProcException) console.error("it threw", failure.exc);
   */
  get(options?: GetOptions): Promise<T> {
    if (options === undefined) return this.#owner.promise(this) as Promise<T>;
    const { reraise, timeout } = readGetOptions(options);
    let promise = this.#owner.promise(this) as Promise<T>;
    if (!reraise) promise = promise.catch(wrap);
    if (timeout === Infinity || this.settled) return promise;
    return new Promise((resolve, reject) => {
      const delay = timerDelay(timeout);
      const timer = setTimeout(() => reject(waitedTooLong(this, timeout)), delay);
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  /**
   * The same as `get`, blocking the calling thread: nothing else in this process runs meanwhile.
   *
   * @example
   * const sum = pool.async((a: number, b: number) => a + b, 1, 2).getSync(); // 3
   */
  getSync(options: GetOptions = {}): T {
    const { reraise, timeout } = readGetOptions(options);
    if (!this.settled) this.#owner.waitFor(this, performance.now() + timeout);
    noteAsked(this);
    if (!this.settled) throw waitedTooLong(this, timeout);
    if (this.state === "done") return this.outcome as T;
    throw reraise ? this.outcome : new ProcException(this.outcome);
  }

  /**
   * Settled yet? Never throws, never blocks, and makes progress by itself.
   *
   * @example
   * while (!handle.ready()) Bun.sleepSync(1);
   */
  ready(): boolean {
    if (!this.settled) {
      if (isWatched) whole(() => this.#owner.progress(this));
      else this.#owner.progress(this);
    }
    return this.settled;
  }

  /**
   * Settles the task with `CancelledError`, `reason` being its cause; false if it was settled
   * before. A running call is abandoned: a local or isolated worker that goes on with it is
   * replaced after a second, a rank is sent nothing until it returns.
   *
   * @example
   * handle.cancel(); // true
   * handle.state; // "cancelled"
   */
  cancel(reason?: unknown): boolean {
    return whole(() => this.#owner.cancel(this, reason));
  }

  /**
   * Calls `listener` with each value that the task gives to `taskContext().report`, in their order
   * and before its result is there. Ends with the task, or when what it returns is disposed.
   *
   * @example
   * using _ = handle.on("report", (percent) => console.log(`${percent} %`));
   */
  on(event: "report", listener: OnReport): Disposable {
    if (event !== "report" || typeof listener !== "function") throw refusedListener(event);
    return listenTo(this, listener);
  }

  /** Index of the worker that has or had the task; null before it was sent to one. */
  get worker(): number | null {
    return this.record?.index ?? null;
  }

  /**
   * Milliseconds that the function ran, as its worker measured them; null before the task is
   * settled, and where no worker said: for a task that was cancelled, or lost with its worker. Of
   * several attempts it is the last one's.
   *
   * @example
   * await handle;
   * console.log(`${handle.runTime} ms on worker ${handle.worker}`);
   */
  get runTime(): number | null {
    return this.ranFor;
  }

  /** @internal What `console.log` shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `MessageHandle { ${this.label}: ${this.state} }`;
  }

  /** @internal What `JSON.stringify` writes, as into a log; the result is left out. */
  toJSON(): { task: number; function: string; state: TaskState } {
    return { task: this.order, function: this.fn.label, state: this.state };
  }

  /** A handle can be awaited as a promise can: `await handle` is `await handle.get()`. */
  then<A = T, B = never>(
    onDone?: ((value: T) => A | PromiseLike<A>) | null,
    // `any`, as in every promise: a listener says itself what errors it expects.
    onFailed?: ((error: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.get().then(onDone, onFailed);
  }

  /**
   * As a promise's: `onFailed` gets what the task failed with.
   *
   * @example
   * const size = await pool.async(measure, path).catch(() => 0);
   */
  // `any` as in `then`.
  catch<B = never>(onFailed?: ((error: any) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.get().catch(onFailed);
  }

  /**
   * As a promise's: `onEnd` is called when the task is settled, whatever came of it.
   *
   * @example
   * await pool.async(render, scene).finally(() => bar.tick());
   */
  finally(onEnd?: (() => void) | null): Promise<T> {
    return this.get().finally(onEnd);
  }

  /** `"MessageHandle"`: promises have one, too. */
  get [Symbol.toStringTag](): string {
    return "MessageHandle";
  }
}

bindToProcess(MessageHandle, "await it first");

function readGetOptions(options: GetOptions): { reraise: boolean; timeout: number } {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `Cannot get a result: expected an object of options, got ${Bun.inspect(options)}`,
    );
  }
  for (const key of Object.keys(options)) {
    if (key !== "reraise" && key !== "timeout") {
      throw new TypeError(
        `Cannot get a result: unknown option "${key}"; there are reraise and timeout`,
      );
    }
  }
  const reraise = Object.hasOwn(options, "reraise") ? (options.reraise ?? true) : true;
  const timeout = Object.hasOwn(options, "timeout") ? (options.timeout ?? Infinity) : Infinity;
  if (typeof timeout !== "number" || !(timeout >= 0)) {
    throw new TypeError(
      `Cannot get a result: timeout must be a number of ms >= 0, got ${Bun.inspect(timeout)}`,
    );
  }
  return { reraise, timeout };
}

function refusedListener(event: unknown): TypeError {
  const what =
    event === "report" ? "its listener must be a function" : `there is no event ${show(event)}`;
  return new TypeError(`Cannot listen to a task: ${what}; call on("report", (value) => …)`);
}

function wrap(error: unknown): never {
  throw madeWithoutFrames(() => new ProcException(error));
}

function waitedTooLong(task: Task, timeout: number): TimeoutError {
  return new TimeoutError(
    `Cannot get the result of ${task.label} within ${timeout} ms: it is ${task.state}`,
  );
}
