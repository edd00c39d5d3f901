import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { bindToProcess } from "./codec/refusal.ts";
import { Controller } from "./controller.ts";
import { BsyncError, PoolClosedError } from "./errors.ts";
import { isLoading, reachedOpen } from "./function/scope.ts";
import { calledByMain, calledByProgram, recordOf } from "./function/reference.ts";
import { MessageHandle, type TaskOwner } from "./handle.ts";
import { letGoAtEnd, mpiJob, refuseStrayTask } from "./link/job.ts";
import { WORKER_MARK } from "./link/local.ts";
import type { Launcher } from "./mpi/launcher.ts";
import {
  type CallOptions,
  DEFAULT_OPEN_TIMEOUT_MS,
  DEFAULT_TASK,
  type PoolOptions,
  type PoolSettings,
  readCallOptions,
  readCount,
  readPoolOptions,
  readRanks,
  readRelease,
  type TaskFunction,
  type WorkerList,
} from "./options.ts";
import { jobRank, nextOpen, type Ranks, ranksFor } from "./ranks.ts";
import { JobSurroundings, Release, returnTag, takeTag } from "./surroundings/job.ts";
import { LocalSurroundings } from "./surroundings/local.ts";
import { MixedSurroundings } from "./surroundings/mixed.ts";
import type { Surroundings } from "./surroundings/surroundings.ts";
import { Task, type TaskOptions } from "./task.ts";
import { currentTask } from "./worker/context.ts";
import { leaveToController } from "./worker/guard.ts";
import { serveParent } from "./worker/local.ts";
import { join, serve } from "./worker/rank.ts";

/** What a pool is on this process. */
export type PoolRole = "controller" | "worker" | "unused";

/** One worker of a pool, as `pool.workers` shows it. */
export interface WorkerInfo {
  /** Its place in `pool.workers`, from 0; a process that takes the place of another one has it too. */
  readonly index: number;
  /** MPI rank, in the communicator of the pool; null for a local process. */
  readonly rank: number | null;
  /** 0 before the worker has answered. */
  readonly pid: number;
  readonly host: string;
  /**
   * `"overdue"`: it still runs a task that was settled without it (timed out, or cancelled), and is
   * sent nothing until it answers. `"gone"`: its process has ended, or the pool has let it go.
   */
  readonly state: "starting" | "idle" | "busy" | "overdue" | "gone";
}

/**
 * The arguments for `F`; for a text any. The methods' second form is that for a text, and takes functions
 * too: else TypeScript would say of one whose argument is missing that it is no string.
 */
export type ArgumentsOf<F> = [F] extends [string]
  ? unknown[]
  : F extends TaskFunction
    ? Parameters<F>
    : unknown[];

/** `pool.with(options)`: the pool, with other options for the calls made through it; can be kept. */
export interface PoolView {
  /** Queues one call under the view's options; all else as with `AsyncPool.async`. */
  async<F extends TaskFunction>(
    fn: F,
    ...args: Parameters<F>
  ): MessageHandle<Awaited<ReturnType<F>>>;
  async<T = unknown, F extends TaskFunction | string = string>(
    fn: F,
    ...args: ArgumentsOf<F>
  ): MessageHandle<T>;
}

/**
 * Takes function calls and runs them on workers: the ranks of an MPI job, or local processes.
 *
 * Tasks that wait start by priority, then in the order of their submission; each worker runs one at a
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
export class AsyncPool implements PoolView, AsyncDisposable {
  /** What this process is in it: `"controller"`, where `open` without `keepUnused` resolves. */
  readonly role: PoolRole;
  readonly #controller: Controller | null;
  readonly #options: TaskOptions;
  #closing: Promise<void> | null = null;
  #terminating: Promise<void> | null = null;

  private constructor(role: PoolRole, controller: Controller | null, options: TaskOptions) {
    if (typeof role !== "string") {
      throw new TypeError("Cannot make a pool with `new`: await AsyncPool.open(workers, options)");
    }
    this.role = role;
    this.#controller = controller;
    this.#options = options;
  }

  /**
   * Opens a pool; resolves once every worker has answered and run its initializer.
   *
   * | `workers` | in an MPI job | without MPI |
   * | --- | --- | --- |
   * | left out | every rank but 0 | one process per available core |
   * | `n` | ranks 1 to n | n processes |
   * | a list, `[1, 2, null]` | exactly these ranks; each null a process beside rank 0 | as many processes |
   *
   * In an MPI job it resolves on rank 0 (of `comm`). On every other rank it does not: the rank serves until
   * the job ends. With `release` it serves until the pool is over, and then gets a closed one; with
   * `keepUnused` one that is not in the list gets a pool of role `"unused"` at once. A task on such a
   * rank opens a pool of local processes with `mpi: false`, and is refused any other but one with `release`.
   *
   * Rejects with `RangeError` or `TypeError` for arguments that cannot be, `MpiError` where MPI cannot
   * be had, `TimeoutError` naming the workers that did not answer within `openTimeout`,
   * `WorkerLostError` where processes end as soon as they are started, and with what the initializer
   * threw. Nothing is left open then. In an MPI job it rejects on rank 0 alone, and the others go on
   * waiting for a pool, since rank 0 may catch the error and open another one: with `release` they are let go,
   * and a `comm` or `release` that cannot be rejects on every rank.
   *
   * @example
   * await using all = await AsyncPool.open();
   * await using four = await AsyncPool.open(4, { timeout: 30_000, initializer: [seed, 42] });
   */
  static async open<I extends TaskFunction = TaskFunction>(
    workers?: number | WorkerList,
    options: PoolOptions<I> = {},
  ): Promise<AsyncPool> {
    if (isLoading() && !calledByProgram()) {
      // On a worker, that loads a module for its functions. The main script has come as far as it
      // should; a module that it imports goes on, with a pool that is none.
      if (!calledByMain()) return AsyncPool.make("worker", null, readPoolOptions(options).task);
      reachedOpen();
      return new Promise(() => {});
    }
    if (process.env[WORKER_MARK] !== undefined) return serveBundled();
    const mayUseMpi = !(Object.hasOwn(options ?? {}, "mpi") && options.mpi === false);
    const launcher = mayUseMpi ? mpiJob() : null;
    if (launcher === null && mayUseMpi) refuseStrayTask();
    if (launcher === null) return await openLocal(workers, readPoolOptions(options));
    const { among, isReleased } = readTogether(options, launcher);
    if (among.members?.length === 1) return await openLocal(workers, readPoolOptions(options));
    const open = among.rank === 0 ? openInJob : joinPool;
    return await open(workers, options, among, isReleased);
  }

  /** @internal Pools are opened by `AsyncPool.open`. */
  static make(role: PoolRole, controller: Controller | null, options: TaskOptions): AsyncPool {
    return new AsyncPool(role, controller, options);
  }

  /**
   * Queues one call and returns at once. `fn` is a function of a module, an inline function that uses
   * nothing but its arguments and its module's top-level names, or a text that yields a function
   * among the main script's top-level names and the globals.
   *
   * Throws `FunctionError` for a function that cannot travel, `PoolClosedError` after `close` or
   * `terminate`, `QueueFullError` past the pool's `queueLimit`. All else is told by the handle:
   * `ValueError` for an argument or a result that cannot travel, `FunctionError` for a function that
   * turns out to need a variable of an enclosing one, and whatever the function threw.
   *
   * Arguments are copied at the call, except the content of buffers of 64 KiB and more, which is read
   * when the task is sent: leave those unchanged until the task is settled.
   *
   * @example
   * const power = pool.async((base: number, exponent: number) => base ** exponent, 2, 10);
   * const hypot = pool.async<number>("Math.hypot", 3, 4);
   * console.log(await power, await hypot); // 1024 5
   */
  async<F extends TaskFunction>(
    fn: F,
    ...args: Parameters<F>
  ): MessageHandle<Awaited<ReturnType<F>>>;
  async<T = unknown, F extends TaskFunction | string = string>(
    fn: F,
    ...args: ArgumentsOf<F>
  ): MessageHandle<T>;
  async(fn: TaskFunction | string, ...args: unknown[]): MessageHandle<unknown> {
    return this.#submit(fn, args, this.#options);
  }

  /**
   * The same pool with other options for the calls made through it; the view can be kept. What is left
   * out is as the pool was opened with. Throws `TypeError` for an option that is unknown or wrong.
   *
   * @example
   * const urgent = pool.with({ priority: -10, timeout: 2_000 });
   * console.log(await urgent.async("Math.hypot", 3, 4)); // 5, before all that is queued
   */
  with(options: CallOptions): PoolView {
    return new View(this.#submit, readCallOptions(options, this.#options)) as PoolView;
  }

  /**
   * Calls `fn` once on every worker, each as soon as it is idle; the results in worker order. Rejects
   * with the first failure in that order, once all have ended, and for what `async` throws: for a
   * full queue before any is called, each worker that is not idle counting as one more that waits.
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
    const tasks = controller.submitToAll(recordOf(fn), args, this.#options);
    const results = await Promise.allSettled(tasks.map((task) => controller.promise(task)));
    return results.map((result) => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    });
  }

  /** How many workers the pool has; 0 where its role is not `"controller"`. */
  get size(): number {
    return this.#controller?.connections.length ?? 0;
  }

  /** The workers, in the order of their indices. */
  get workers(): WorkerInfo[] {
    const controller = this.#controller;
    if (controller === null) return [];
    return controller.connections.map((connection) => ({
      index: connection.record.index,
      rank: connection.rank,
      pid: connection.greeting?.pid ?? connection.link?.pid ?? 0,
      host: connection.host,
      state: controller.stateOf(connection),
    }));
  }

  /**
   * Waits for all that was submitted, then lets the workers go. May be called again, by anyone.
   * From the call on, `async` throws `PoolClosedError`. Never rejects: failures are the handles' to
   * tell, and those can still be asked afterwards.
   */
  close(): Promise<void> {
    this.#closing ??= this.#controller?.close() ?? Promise.resolve();
    return this.#terminating === null
      ? this.#closing
      : Promise.all([this.#closing, this.#terminating]).then(() => {});
  }

  /**
   * Cancels what is queued, stops what runs, and is quick: all that is not settled fails with
   * `CancelledError`, `reason` being its cause. May be called again, and after `close`. Never rejects.
   *
   * Processes, local or isolated, are killed. On a plain MPI rank synchronous code can't be stopped: an endless
   * loop goes on, that rank is not let go (with `release` its `open` does not resolve), and when the program
   * ends the job is aborted 1.5 s later, with the program's exit code. Where that may be, open the pool with
   * `isolate: true`, or give the calls a `timeout`, which interrupts JavaScript on a rank, too.
   *
   * @example
   * process.once("SIGUSR1", () => void pool.terminate("told to stop"));
   */
  terminate(reason?: unknown): Promise<void> {
    this.#terminating ??= this.#controller?.terminate(reason) ?? Promise.resolve();
    return this.#terminating;
  }

  /** `await using` closes. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #submit: Submit = (fn, args, options) => {
    if (this.#controller === null && isLoading()) {
      // The main script, which is being loaded for its functions, uses a pool that it imports.
      reachedOpen();
      return new MessageHandle(0, recordOf(fn), options, NOBODY);
    }
    const controller = this.#requireController("call a function");
    return controller.submit(recordOf(fn), args, options);
  };

  #requireController(deed: string): Controller {
    if (this.#controller !== null) return this.#controller;
    throw new PoolClosedError(
      `Cannot ${deed} on this rank: its pool has the role "${this.role}"; rank 0 is the controller`,
    );
  }
}

type Submit = (
  fn: TaskFunction | string,
  args: unknown[],
  options: TaskOptions,
) => MessageHandle<unknown>;

/** A pool as `with` shows it. */
class View {
  readonly #submit: Submit;
  readonly #options: TaskOptions;

  constructor(submit: Submit, options: TaskOptions) {
    this.#submit = submit;
    this.#options = options;
  }

  async(fn: TaskFunction | string, ...args: unknown[]): MessageHandle<unknown> {
    return this.#submit(fn, args, this.#options);
  }
}

bindToProcess(AsyncPool, "call its methods where it was opened");
bindToProcess(View, "call its methods where its pool was opened");

/** Whom a handle asks that is never settled. */
const NOBODY: TaskOwner = {
  progress() {},
  waitFor() {},
  cancel: () => false,
  promise: () => new Promise(() => {}),
};

async function openLocal(
  workers: number | WorkerList | undefined,
  settings: PoolSettings,
): Promise<AsyncPool> {
  const count = readCount(workers, availableParallelism());
  const { cwd } = settings;
  if (cwd !== undefined && !statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) {
    throw new RangeError(`Cannot open a pool: its cwd ${JSON.stringify(cwd)} is no folder`);
  }
  return await openOn(new LocalSurroundings(settings, settings.spin), count, settings);
}

/**
 * What every rank has to know before anything else, and so has to be right on each of them: whose pool it is, and
 * whether ranks go on after it. All else is for the controller to say.
 */
function readTogether(
  options: PoolOptions,
  launcher: Launcher,
): { among: Ranks; isReleased: boolean } {
  try {
    return { among: ranksFor(options, launcher), isReleased: readRelease(options) };
  } catch (error) {
    letGoAtEnd();
    throw error;
  }
}

/** `open` on the controller. */
async function openInJob(
  workers: number | WorkerList | undefined,
  options: PoolOptions,
  among: Ranks,
  isReleased: boolean,
): Promise<AsyncPool> {
  const id = nextOpen(among);
  if (!isReleased) {
    let settings: PoolSettings;
    try {
      settings = readPoolOptions(options);
      // Where the launcher says how many ranks there are, bad arguments fail before MPI starts.
      if (among.size > 0) readRanks(workers, among.size, among.comm);
    } catch (error) {
      letGoAtEnd();
      throw error;
    }
    return await openAmong(workers, settings, among, null);
  }
  // The others wait for what comes of it, whatever is wrong with it.
  const job = join(settingsOf(options)?.openTimeout ?? DEFAULT_OPEN_TIMEOUT_MS);
  const release = new Release(job, among, id);
  try {
    return await openAmong(workers, readPoolOptions(options), among, release);
  } catch (error) {
    release.tell();
    throw error;
  }
}

async function openAmong(
  workers: number | WorkerList | undefined,
  settings: PoolSettings,
  among: Ranks,
  release: Release | null,
): Promise<AsyncPool> {
  const tag = takeTag(settings.tag);
  let outside: Surroundings;
  let ranks: WorkerList;
  try {
    const job = join(settings.openTimeout);
    ranks = readRanks(workers, among.members?.length ?? job.mpi.size, among.comm);
    if (release !== null && settings.keepUnused) {
      release.ranks = ranks.flatMap((rank) => (rank === null ? [] : [jobRank(among, rank)]));
    }
    const { spin, isolate } = settings;
    const inJob = new JobSurroundings(job, ranks, tag, { among, spin, isolate, release });
    const mixed = ranks.includes(null);
    outside = mixed
      ? new MixedSurroundings(ranks, inJob, new LocalSurroundings(settings, spin))
      : inJob;
  } catch (error) {
    returnTag(tag);
    throw error;
  }
  return await openOn(outside, ranks.length, settings);
}

async function openOn(
  outside: Surroundings,
  workers: number,
  { initializer, openTimeout, task, limits, drain }: PoolSettings,
): Promise<AsyncPool> {
  const controller = new Controller(outside, limits, drain);
  try {
    await controller.open(workers, initializer, openTimeout);
  } catch (error) {
    outside.leave();
    throw error;
  }
  return AsyncPool.make("controller", controller, task);
}

/**
 * `open` on a rank that is not the controller. What is wrong with its arguments is for that to say, which
 * has the same ones: this rank serves then, since the controller may go on and open another pool.
 */
async function joinPool(
  workers: number | WorkerList | undefined,
  options: PoolOptions,
  among: Ranks,
  isReleased: boolean,
): Promise<AsyncPool> {
  const task = currentTask();
  if (task !== null && !isReleased) {
    throw new BsyncError(
      "BSYNC_IN_TASK",
      `Cannot open a pool in ${task}: on rank ${among.rank} open waits for the calls of rank 0, and never ` +
        "resolves; for local processes of the task's own, open it with { mpi: false }",
    );
  }
  const id = nextOpen(among);
  const settings = settingsOf(options);
  const job = join(settings?.openTimeout ?? DEFAULT_OPEN_TIMEOUT_MS);
  const isWorker = isAmong(workers, among.rank, among.members?.length ?? job.mpi.size);
  const defaults = settings?.task ?? DEFAULT_TASK;
  if (settings?.keepUnused && isWorker === false) return AsyncPool.make("unused", null, defaults);
  if (settings !== null) leaveToController(settings.drain.signals);
  await serve(job, jobRank(among, 0), isReleased ? id : null);
  return AsyncPool.make(isWorker ? "worker" : "unused", null, defaults);
}

/** Null where something is wrong with them. */
function settingsOf(options: PoolOptions): PoolSettings | null {
  try {
    return readPoolOptions(options);
  } catch {
    return null;
  }
}

/** Whether a rank is one of the workers; null where these cannot be. */
function isAmong(
  workers: number | WorkerList | undefined,
  rank: number,
  size: number,
): boolean | null {
  try {
    return readRanks(workers, size).includes(rank);
  } catch {
    return null;
  }
}

/** In a bundled program a local worker runs the program itself, and serves from `open` on. */
function serveBundled(): Promise<never> {
  serveParent();
  return new Promise(() => {});
}
