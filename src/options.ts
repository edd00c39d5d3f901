import { constants } from "node:os";
import { hasMembers, type Members } from "./job/communicator-members.ts";
import { numberOf, settingOf, switchOf } from "./os/settings.ts";
import { type TaskOptions, DEFAULT_TASK } from "./scheduler/task.ts";
import { progressProblem, type ProgressOptions, readProgress } from "./watch/progress-options.ts";
import { TASK_RULES } from "./call-options.ts";
import {
  type Rules,
  ms,
  whole,
  limit,
  flag,
  isRecord,
  isFunction,
  readOptions,
  checkOption,
} from "./option-rules.ts";

export { CALL_OPTIONS, type CallOptions, readCallOptions } from "./call-options.ts";

/**
 * Options, checked once, at the door: an unknown one is an error, and nothing that an object
 * inherits is taken for an option. All lengths of time are ms.
 */

/** Any function; methods that take one infer the types of its arguments and its result. */
// `any`: a function of whatever arguments must be assignable, for them to be inferred from it.
export type TaskFunction = (...args: any[]) => unknown;

/**
 * Options of `AsyncPool.open`. One that is `undefined` counts as left out.
 *
 * @example
 * const options: PoolOptions = { timeout: 30_000, env: { ...process.env, LEVEL: "3" } };
 */
export interface PoolOptions<I extends TaskFunction = TaskFunction> {
  /** `false`: local processes, even inside an MPI job. Left out, the launcher decides. */
  readonly mpi?: boolean;
  /**
   * MPI tag of this pool's messages, 0 to 32 766; its own by default. `RangeError` if another open
   * pool has it. Of no meaning without MPI.
   */
  readonly tag?: number;
  /**
   * The `Communicator` of bsync/mpi to run on, `world` by default: `workers` are its ranks, and its
   * rank 0 is the controller. All of its ranks call `open`; its ranks are what the pool tells of as
   * ranks. One of a single rank has local processes as workers, as a job of one rank has. Of no
   * meaning without MPI.
   */
  readonly comm?: Members;
  /**
   * On a rank outside the list `open` resolves with a pool of role `"unused"`. False by default.
   */
  readonly keepUnused?: boolean;
  /**
   * When the pool closes, however it does, or does not open, `open` resolves on all other ranks
   * too: with a closed pool of role `"worker"` on its workers, `"unused"` on the others. The
   * program goes on there. False by default. All ranks have to say the same; what is neither true
   * nor false is a `TypeError` on every rank.
   */
  readonly release?: boolean;
  /**
   * A function, or `[function, ...arguments]`, run once on each worker before its first task, and
   * on each that replaces one; if it throws, `open` rejects with that.
   */
  readonly initializer?:
    I | string | readonly [I, ...Parameters<I>] | readonly [string, ...unknown[]];
  /**
   * The environment of local workers, all of it, as for `Bun.spawn`; the program's own by default.
   */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The working directory of local workers; the program's own by default. */
  readonly cwd?: string;
  /** ms each task may run that has no `timeout` of its own; no limit by default. */
  readonly timeout?: number;
  /** Of each task that has none of its own; 0 by default. */
  readonly priority?: number;
  /** How often each task that has none of its own may start again after its worker was lost; 0. */
  readonly retries?: number;
  /**
   * In an MPI job each rank runs its tasks in a child process of its own: a crash or a task that
   * cannot be interrupted costs that child, never the job. False by default. Local workers are
   * processes anyway.
   */
  readonly isolate?: boolean;
  /**
   * Tasks run in this very process, and all else is as ever: for breakpoints, mocks, coverage. The
   * functions that were given run themselves, workers take turns on this thread, and nothing is
   * interrupted. In an MPI job rank 0 runs all of them. What is for processes (`isolate`, limits of
   * a worker) has no effect. By default as `BSYNC_INLINE` says, or false.
   */
  readonly inline?: boolean;
  /**
   * After so many tasks a local or isolated worker is replaced by a fresh process, between two
   * tasks; the initializer runs on that again. No limit by default. Of no effect on ranks, which
   * stay.
   */
  readonly maxTasksPerWorker?: number;
  /**
   * A local worker that holds more than so many bytes resident after a task is replaced in the same
   * way. A fresh one holds some 50 MB. No limit by default. Of no effect on ranks.
   */
  readonly maxMemoryPerWorker?: number;
  /**
   * How many asynchronous calls a worker may have under way at once, as downloads or child
   * programs; 1 by default. Synchronous code still has the thread to itself.
   */
  readonly concurrency?: number;
  /**
   * How many tasks may wait for a worker: past it `async` throws `QueueFullError`. With 0 it does
   * as soon as no worker is free. No limit by default.
   */
  readonly queueLimit?: number;
  /**
   * A signal, or a list of them, on which the pool comes to its end: tasks
   * that wait settle with `CancelledError` (its `cause` is the signal), those that run may end
   * within `drainTimeout`, and `async` throws `PoolClosedError`. The program is not ended by it.
   * The same signal once more, after a second at least, ends running tasks at once. None by
   * default. Workers ignore these signals.
   */
  readonly drainSignals?: NodeJS.Signals | readonly NodeJS.Signals[];
  /**
   * ms that running tasks have after such a signal; then they are cancelled, too. 10 000 by
   * default.
   */
  readonly drainTimeout?: number;
  /**
   * What becomes of failures whose handles nobody has asked (by `get`, `getSync`, `then`, `catch`,
   * `finally`, `pool.all`, `pool.asCompleted`). `"warn"`, the default: when the pool closes, or the
   * program ends, stderr is told how many there were, and the first. `"throw"`: besides, the exit
   * code is 1. `"ignore"`: nothing.
   */
  readonly unhandled?: Unhandled;
  /**
   * Shows on stderr how many tasks of the pool are settled: a bar on a terminal, elsewhere a line
   * now and then, at most one in ten seconds, and a last one. False by default.
   */
  readonly progress?: boolean | ProgressOptions;
  /** µs a waiting side spins before it sleeps; by default as suits the machine, 0 never spins. */
  readonly spin?: number;
  /**
   * ms for all workers to answer; 60 000 by default. Past it `open` rejects with `TimeoutError`. A
   * worker that takes the place of a lost one has as long.
   */
  readonly openTimeout?: number;
}

/** What becomes of failures that nobody asked for. */
export type Unhandled = "warn" | "ignore" | "throw";

/** `PoolOptions` with every default filled in. */
export interface PoolSettings {
  readonly mpi: boolean | undefined;
  readonly tag: number | undefined;
  readonly comm: Members | undefined;
  readonly keepUnused: boolean;
  readonly release: boolean;
  readonly initializer: readonly [TaskFunction | string, ...unknown[]] | null;
  readonly env: Readonly<Record<string, string | undefined>> | undefined;
  readonly cwd: string | undefined;
  readonly isolate: boolean;
  readonly inline: boolean;
  readonly spin: number | undefined;
  readonly openTimeout: number;
  readonly task: TaskOptions;
  readonly limits: PoolLimits;
  readonly drain: DrainSettings;
  readonly unhandled: Unhandled;
  readonly progress: ProgressOptions | null;
}

/** On which signals a pool comes to its end, and how many ms running tasks have then. */
export interface DrainSettings {
  readonly signals: readonly string[];
  readonly timeout: number;
}

/** Bounds of a pool; Infinity for none. */
export interface PoolLimits {
  /** Tasks, and bytes resident, after which a process is replaced. */
  readonly tasksPerWorker: number;
  readonly memoryPerWorker: number;
  /** Calls that a worker may have under way. */
  readonly concurrency: number;
  /** Tasks that may wait for a worker. */
  readonly queue: number;
}

/**
 * Signals that cannot be caught, or mean something else: to Bun's garbage collector, and to bsync.
 */
const RESERVED_SIGNALS = new Set(["SIGKILL", "SIGSTOP", "SIGPWR", "SIGURG"]);
const isSignal = (value: unknown) =>
  typeof value === "string" &&
  Object.hasOwn(constants.signals, value) &&
  !RESERVED_SIGNALS.has(value);
const UNHANDLED: ReadonlySet<unknown> = new Set<Unhandled>(["warn", "ignore", "throw"]);
const POOL_RULES: Rules = {
  ...TASK_RULES,
  mpi: flag,
  tag: whole(0, 32_766),
  comm: (value) => (hasMembers(value) ? null : "a Communicator of bsync/mpi"),
  keepUnused: flag,
  release: flag,
  initializer: (value) =>
    isFunction(value) || (Array.isArray(value) && isFunction(value[0]))
      ? null
      : "a function, or [function, ...arguments]",
  env: (value) => (isRecord(value) ? null : "an object of variables"),
  cwd: (value) => (typeof value === "string" ? null : "a path"),
  isolate: flag,
  inline: flag,
  maxTasksPerWorker: limit(1),
  maxMemoryPerWorker: (value) =>
    typeof value === "number" && value > 0 ? null : "a number of bytes > 0",
  concurrency: whole(1),
  queueLimit: limit(0),
  drainSignals: (value) =>
    (Array.isArray(value) ? value : [value]).every(isSignal)
      ? null
      : 'the name of a signal that can be caught, as "SIGTERM", or a list of such',
  drainTimeout: ms,
  unhandled: (value) => (UNHANDLED.has(value) ? null : 'one of "warn", "ignore" and "throw"'),
  progress: progressProblem,
  spin: (value) => (typeof value === "number" && value >= 0 ? null : "a number of µs >= 0"),
  openTimeout: ms,
};

/** How long running tasks may go on after a drain signal. */
const DEFAULT_DRAIN_TIMEOUT_MS = 10_000;

/** How long `open` waits for its workers unless it is told. */
export const DEFAULT_OPEN_TIMEOUT_MS = 60_000;

/** The options of a pool, or a `TypeError` that says which one is wrong, and how. */
export function readPoolOptions(options: PoolOptions): PoolSettings {
  const given = readOptions("open a pool", options, POOL_RULES) as PoolOptions;
  const { initializer } = given;
  const list = Array.isArray(initializer) ? initializer : [initializer];
  return {
    mpi: given.mpi,
    tag: given.tag,
    comm: given.comm,
    keepUnused: given.keepUnused ?? false,
    release: given.release ?? false,
    initializer: initializer === undefined ? null : (list as PoolSettings["initializer"]),
    env: given.env,
    cwd: given.cwd,
    isolate: given.isolate ?? false,
    inline: readInline(given),
    spin: given.spin ?? spinOfEnvironment(),
    openTimeout: given.openTimeout ?? DEFAULT_OPEN_TIMEOUT_MS,
    task: {
      timeout: given.timeout ?? DEFAULT_TASK.timeout,
      priority: given.priority ?? DEFAULT_TASK.priority,
      retries: given.retries ?? DEFAULT_TASK.retries,
      signal: null,
      worker: null,
      retryOn: null,
      onReport: null,
    },
    limits: {
      tasksPerWorker: given.maxTasksPerWorker ?? Infinity,
      memoryPerWorker: given.maxMemoryPerWorker ?? Infinity,
      concurrency: given.concurrency ?? 1,
      queue: given.queueLimit ?? Infinity,
    },
    drain: {
      signals: [...new Set([given.drainSignals ?? []].flat())],
      timeout: given.drainTimeout ?? DEFAULT_DRAIN_TIMEOUT_MS,
    },
    unhandled: given.unhandled ?? "warn",
    progress: readProgress(given.progress),
  };
}

function readInline({ inline, env, cwd }: PoolOptions): boolean {
  if (inline !== true) return inline ?? switchOf("BSYNC_INLINE") ?? false;
  const other = env === undefined ? "cwd" : "env";
  if (env === undefined && cwd === undefined) return true;
  throw new TypeError(
    `Cannot open a pool: ${other} is for workers that are processes, and with inline there are ` +
      `none; leave one of the two out (tasks have the ${other} of the program)`,
  );
}

/** One option, checked, among others, none of which need be right. */
export function readOption(options: unknown, name: keyof PoolOptions): unknown {
  const value = ownOption(options, name);
  checkOption("open a pool", name, value, POOL_RULES);
  return value;
}

/** The same, unchecked. */
export function ownOption(options: unknown, name: keyof PoolOptions): unknown {
  if (!isRecord(options) || !Object.keys(options as object).includes(name)) return undefined;
  return (options as PoolOptions)[name];
}

function spinOfEnvironment(): number | undefined {
  const spin = numberOf("BSYNC_SPIN_US");
  if (spin === undefined || spin >= 0) return spin;
  const text = settingOf("BSYNC_SPIN_US");
  throw new TypeError(`Cannot use BSYNC_SPIN_US=${text}: it must be a number of µs >= 0`);
}
