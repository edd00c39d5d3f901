import { bindToProcess } from "./codec/refusal.ts";
import type { Controller } from "./controller/controller.ts";
import { whenSettled } from "./controller/settlement.ts";
import { currentCall } from "./context.ts";
import { PoolClosedError } from "./errors.ts";
import { callers } from "./function/callers.ts";
import { isLoading, mainScript, reachedOpen, reachedPool } from "./function/main-script.ts";
import { unmeasured } from "./scheduler/estimates.ts";
import { recordOf } from "./function/reference-lazy.ts";
import type { Completed } from "./gather/as-completed.ts";
import { gather } from "./gather/lazy.ts";
import { MessageHandle, type TaskOwner } from "./handle.ts";
import { openPool } from "./open.ts";
import type { Opened, PoolRole } from "./open/opened.ts";
import {
  type CallOptions,
  type PoolOptions,
  readCallOptions,
  type TaskFunction,
} from "./options.ts";
import { newPromise, Promise } from "./os/natives.ts";
import { isOn, settingOf } from "./os/settings.ts";
import { needStack } from "./os/stack.ts";
import { isTimed, isWatched, keepWhole, occupy, whole } from "./os/whole.ts";
import { type ArgumentsOf, type Caller, PoolCalls, type PoolView } from "./pool-calls.ts";
import { mapOver, stopMaps } from "./map/lazy.ts";
import type { MapRuns } from "./map/map.ts";
import type { Shared } from "./share/shared.ts";
import type { TaskOptions } from "./scheduler/task.ts";
import type { ProgressSources } from "./watch/progress-sources.ts";
import { dashboardFromStart, nextTracePath, traceFromStart } from "./watch/lazy.ts";
import { WatchedPool } from "./watched-pool.ts";
import { tracedOf } from "./worker-info.ts";
import type { WorkerList } from "./worker-list.ts";

/**
 * Takes function calls and runs them on workers: the ranks of an MPI job, or local processes.
 *
 * Waiting tasks start by priority, then in the order of their submission; each worker runs one at a
 * time. A pool of role `"worker"` or `"unused"` takes no calls and has no workers to show.
 *
 * @example
 * import { AsyncPool } from "bsync";
 *
 * function square(x: number) { return x * x; }
 *
 * await using pool = await AsyncPool.open(4);
 * const handles = Array.from({ length: 20 }, (_, i) => pool.async(square, i));
 * console.log(await Promise.all(handles.map((h) => h.get()))); // [0, 1, 4, … 361]
 */
export class AsyncPool extends WatchedPool implements AsyncDisposable {
  /** What this process is in it: `"controller"`, where `open` without `keepUnused` resolves. */
  readonly role: PoolRole;
  readonly #controller: Controller | null;
  readonly #whose: string;
  readonly #caller: Caller;
  readonly #options: TaskOptions;
  /** Maps that are under way. */
  readonly #maps: MapRuns = new Set();
  readonly #recordOf: typeof recordOf;
  #closing: Promise<void> | null = null;
  #terminating: Promise<void> | null = null;
  #isOver = false;
  /** Undoes `occupy`: the pool is over. */
  readonly #vacate: () => void;

  private constructor(opened: Opened) {
    if (typeof opened !== "object") {
      throw new TypeError("Cannot make a pool with `new`: await AsyncPool.open(workers, options)");
    }
    const caller: Caller = {
      submit: (fn, args, options) => this.#submit(fn, args, options),
      map: (fn, items, isStar, options, base) => {
        const { items: calls } = this.#requireController("map");
        const call = { fn, items, isStar };
        return mapOver(calls, this.#maps, call, options, base, this.#progressSources);
      },
    };
    super(caller, opened, (deed) => this.#requireController(deed));
    this.#caller = caller;
    this.role = opened.role;
    this.#controller = opened.controller;
    this.#whose = opened.whose;
    this.#options = opened.task;
    this.#recordOf = opened.controller?.recordOf ?? recordOf;
    this.#vacate = opened.controller === null ? () => {} : occupy();
  }

  /**
   * Opens a pool; resolves once every worker has answered and run its initializer.
   *
   * | `workers` | in an MPI job | without MPI |
   * | --- | --- | --- |
   * | left out | every rank but 0 | one process per available core |
   * | `n` | ranks 1 to n | n processes |
   * | `[1, 2, null]` | exactly these ranks; each null a process beside rank 0 | as many processes |
   *
   * In an MPI job it resolves on rank 0 (of `comm`). On every other rank it does not: the rank
   * serves until the job ends. With `release` it serves until the pool is over, and then gets a
   * closed one; with `keepUnused` a rank that is not in the list gets a pool of role `"unused"` at
   * once. A task on such a rank opens a pool of local processes with `mpi: false`, and is refused
   * any other but one with `release`.
   *
   * Rejects with `RangeError` or `TypeError` for impossible arguments, `MpiError` where MPI cannot
   * be had, `TimeoutError` naming the workers that did not answer within `openTimeout`,
   * `WorkerLostError` where processes end as soon as they are started, and with the error that the
   * initializer threw. Nothing is left open then. In an MPI job it rejects on rank 0 alone, and the
   * others go on waiting for a pool, since rank 0 may catch the error and open another one: with
   * `release` they are released, and an impossible `comm` or `release` rejects on every rank.
   *
   * @example
   * await using all = await AsyncPool.open();
   * await using four = await AsyncPool.open(4, { timeout: 30_000, initializer: [seed, 42] });
   */
  static async open<I extends TaskFunction = TaskFunction>(
    workers?: number | WorkerList,
    options: PoolOptions<I> = {},
  ): Promise<AsyncPool> {
    // A task that has a timeout goes first: it could be interrupted in the midst of it.
    if (isTimed) await null;
    const pool = new AsyncPool(await openPool(workers, options));
    const path = pool.role === "controller" ? settingOf("BSYNC_TRACE") : undefined;
    // Processes inherit the variable: pools that tasks open have no trace.
    if (path !== undefined && currentCall() === null) {
      traceFromStart(() => pool.trace(nextTracePath(path)));
    }
    const port = pool.role === "controller" ? settingOf("BSYNC_DASHBOARD") : undefined;
    if (port !== undefined && currentCall() === null) {
      await dashboardFromStart(port, (options) => pool.dashboard(options));
    }
    return pool;
  }

  /**
   * The same pool with other options for the calls made through it; the view can be kept. Options
   * left out are those the pool was opened with. Throws `TypeError` for an option that is unknown
   * or wrong, `RangeError` for a `worker` that the pool does not have.
   *
   * @example
   * const urgent = pool.with({ priority: -10, timeout: 2_000 });
   * console.log(await urgent.async("Math.hypot", 3, 4)); // 5, before all that is queued
   */
  with(options: CallOptions): PoolView {
    const size = this.#controller === null ? null : this.size;
    return new PoolCalls(this.#caller, readCallOptions(options, this.#options, size));
  }

  /**
   * Calls `fn` once on every worker, each as soon as it is idle; the results in worker order.
   * Rejects with the first failure in that order, once all have ended, and for what `async` throws:
   * for a full queue before any is called, each worker that is not idle counting as one more that
   * waits.
   *
   * @example
   * const pids = await pool.each(() => process.pid);
   */
  async each<F extends TaskFunction>(
    fn: F,
    ...args: Parameters<F>
  ): Promise<Awaited<ReturnType<F>>[]>;
  async each<T = unknown, F extends TaskFunction | string = string>(
    fn: F,
    ...args: ArgumentsOf<F>
  ): Promise<T[]>;
  async each(fn: TaskFunction | string, ...args: unknown[]): Promise<unknown[]> {
    const controller = this.#requireController("call a function on each worker");
    const tasks = controller.calls.submitToAll(this.#recordOf(fn), args, this.#options);
    const { promise, resolve } = newPromise<void>();
    let left = tasks.length;
    for (const task of tasks) {
      whenSettled(task, () => {
        if (--left === 0) resolve();
      });
    }
    await promise;
    return tasks.map(({ state, outcome }) => {
      if (state !== "done") throw outcome;
      return outcome;
    });
  }

  /**
   * The results of handles, in their order, as by `Promise.all`. When one fails the others are
   * cancelled, with that failure as their cause, and it rejects with that failure. They may be of
   * several pools. `TypeError` for what is no iterable of handles.
   *
   * @example
   * const [scene, font] = await pool.all([pool.async(load, path), pool.async(measure, "Inter")]);
   */
  async all<const H extends readonly MessageHandle<unknown>[]>(
    handles: H,
  ): Promise<{ -readonly [I in keyof H]: Awaited<H[I]> }>;
  async all<T>(handles: Iterable<MessageHandle<T>>): Promise<T[]>;
  async all(handles: Iterable<MessageHandle<unknown>>): Promise<unknown> {
    return await gather().allOf(handles, this.#progressSources);
  }

  /**
   * Handles as they settle, whatever came of each. Leaving the loop cancels nothing. They may be of
   * several pools. Throws `TypeError` for what is no iterable of handles.
   *
   * @example
   * for await (const { handle, index } of pool.asCompleted(handles)) {
   *   console.log(files[index], handle.state === "done" ? handle.getSync() : handle.state);
   * }
   */
  asCompleted<H extends MessageHandle<unknown>>(
    handles: Iterable<H>,
  ): AsyncIterableIterator<Completed<H>, undefined> {
    return gather().asCompleted(handles, this.#progressSources);
  }

  /**
   * Resolves when every task is settled that was submitted before; those that are submitted later
   * do not count. `PoolClosedError` where the role is not `"controller"`.
   *
   * @example
   * for (const file of files) pool.async(convert, file);
   * await pool.idle(); // whatever came of them
   */
  async idle(): Promise<void> {
    await this.#requireController("wait for its tasks").idle();
  }

  /**
   * Resolves when `async` would not throw `QueueFullError`; at once where `queueLimit` is not set,
   * or the pool is closed. Of several that wait as many go on as there are places.
   *
   * @example
   * await using pool = await AsyncPool.open(4, { queueLimit: 100 });
   * for await (const line of lines) {
   *   await pool.room();
   *   pool.async(parse, line);
   * }
   */
  async room(): Promise<void> {
    await this.#requireController("wait for room in its queue").items.room();
  }

  /**
   * Sends a value once to each host, and not with each task: as an argument it is a few bytes, and
   * its `value` is the value wherever it is. All workers of a host map the same memory: arrays of
   * 64 KiB and more are there once, and copied, page by page, where they are written to. It is sent
   * as it is at the call. Resolves when each host has it; `ValueError` for a value that cannot
   * travel, or that there is no memory for, `PoolClosedError` where the pool is over by then.
   *
   * @example
   * const matrix = await pool.share(new Float64Array(4_000_000));
   * const sums = await pool.map((row: number, m: typeof matrix) => sumOf(m.value, row), rows);
   */
  async share<T>(value: T): Promise<Shared<T>> {
    return (await this.#requireController("share a value").sharing.share(value)) as Shared<T>;
  }

  /**
   * Waits until every submitted task is settled, then releases the workers. May be called again, by
   * anyone. From the call on, `async` throws `PoolClosedError`. Never rejects: failures come from
   * the handles, which can still be asked afterwards.
   *
   * @example
   * const handle = pool.async("Math.hypot", 3, 4);
   * await pool.close();
   * handle.getSync(); // 5
   */
  close(): Promise<void> {
    needStack();
    stopMaps(this.#maps);
    this.#closing ??= this.#over(this.#controller?.close());
    return this.#terminating === null
      ? this.#closing
      : Promise.all([this.#closing, this.#terminating]).then(() => {});
  }

  /**
   * Cancels queued tasks, stops running ones, and is quick: every task that is not settled fails
   * with `CancelledError`, `reason` being its cause. May be called again, and after `close`. Never
   * rejects.
   *
   * Processes, local or isolated, are killed. On a plain MPI rank synchronous code can't be
   * stopped: an endless loop goes on, that rank is not released (with `release` its `open` does not
   * resolve), and when the program ends the job is aborted 1.5 s later, with the program's exit
   * code. Where that may be, open the pool with `isolate: true`, or give the calls a `timeout`,
   * which interrupts JavaScript on a rank, too.
   *
   * @example
   * process.once("SIGUSR1", () => void pool.terminate("told to stop"));
   */
  terminate(reason?: unknown): Promise<void> {
    needStack();
    stopMaps(this.#maps);
    this.#terminating ??= this.#over(this.#controller?.terminate(reason));
    return this.#terminating;
  }

  async #over(end: Promise<void> | undefined): Promise<void> {
    await end;
    this.#vacate();
    if (!this.#isOver && isOn("BSYNC_SUMMARY")) process.stderr.write(this.summary());
    this.#isOver = true;
  }

  /** `await using` closes. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #submit(
    fn: TaskFunction | string,
    args: unknown[],
    options: TaskOptions,
  ): MessageHandle<unknown> {
    if (this.#controller === null && isLoading()) {
      // A module that is being loaded for its functions uses a pool: it has come far enough.
      const module = callers().at(-1)?.module ?? mainScript();
      if (module === mainScript()) reachedOpen();
      else reachedPool(module);
      return new MessageHandle(0, unmeasured(recordOf(fn)), options, NOBODY);
    }
    const controller = this.#requireController("call a function");
    if (!isWatched) return controller.calls.submit(this.#recordOf(fn), args, options);
    return whole(() => controller.calls.submit(this.#recordOf(fn), args, options));
  }

  /** What the live page tells the progress of. */
  get #progressSources(): ProgressSources | null {
    return this.#controller === null ? null : this.#controller.watch.progressSources;
  }

  #requireController(deed: string): Controller {
    if (this.#controller !== null) return this.#controller;
    throw new PoolClosedError(
      `Cannot ${deed} on this rank: its pool has the role "${this.role}"; ${this.#whose} is the ` +
        "controller",
    );
  }
}

// Except the calls, which come by the million.
keepWhole([AsyncPool.prototype], ["with"]);

bindToProcess(AsyncPool, "call its methods where it was opened");

/** The owner of a handle that is never settled. */
const NOBODY: TaskOwner = {
  progress() {},
  waitFor() {},
  cancel: () => false,
  promise: () => new Promise(() => {}),
};
