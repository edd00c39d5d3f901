import { show } from "./errors.ts";
import { checkOption, isRecord, ms, noOptions, type Rules, whole } from "./option-rules.ts";
import type { OnReport, RetryOn, TaskOptions } from "./scheduler/task.ts";

/** The options of a call, checked at the door; see `options.ts`. */

/**
 * Options of `pool.with`. What is left out is as the pool, or the view, has it.
 *
 * @example
 * const options: CallOptions = { timeout: 2_000, signal: AbortSignal.timeout(60_000) };
 */
export interface CallOptions {
  /**
   * ms the function may run, from its start on the worker; fractions are allowed, `Infinity` is no
   * limit. Past it the task fails with `TimeoutError`, also where it comes back a moment later.
   */
  readonly timeout?: number;
  /** Any number: lower runs first, negative is more urgent. */
  readonly priority?: number;
  /**
   * How often a task may start again whose worker was lost or, if `retryOn` says so, that has
   * thrown or timed out; 0 by default.
   */
  readonly retries?: number;
  /**
   * When it aborts, a queued task is dropped, and one that runs settles at once; either rejects
   * with `signal.reason`.
   */
  readonly signal?: AbortSignal;
  /**
   * Index of the one worker that may run the call, from 0 to `pool.size` - 1, else `RangeError`:
   * for what lives there. It stays that worker's when the worker is replaced.
   *
   * @example
   * const onGpu = pool.with({ worker: 2 });
   */
  readonly worker?: number;
  /**
   * Asked on the controller when the function has thrown, or its time was over, and `retries` are
   * left: `false` fails the task, `true` queues it again, a number does so after that many ms.
   * Without it only a task whose worker was lost starts again.
   *
   * @example
   * const view = pool.with({ retries: 3, retryOn: (error, attempt) => 100 * 2 ** attempt });
   */
  readonly retryOn?: RetryOn;
  /**
   * Called on the controller with each value that the task has given to `taskContext().report`, in
   * their order, and before its result is there. Of a map, with those of each item.
   *
   * @example
   * const view = pool.with({ onReport: (percent, { id }) => console.log(id, percent) });
   */
  readonly onReport?: OnReport;
}

/** Of calls, and of pools as what calls have that say nothing. */
export const TASK_RULES: Rules = {
  timeout: ms,
  priority: (value) =>
    typeof value === "number" && !Number.isNaN(value) ? null : "a number, lower being more urgent",
  retries: whole(0),
};

const CALL_RULES: Rules = {
  ...TASK_RULES,
  signal: (value) => (value instanceof AbortSignal ? null : "an AbortSignal"),
  // Which numbers there are depends on the pool.
  worker: (value) => (typeof value === "number" ? null : "a number, the index of a worker"),
  retryOn: (value) =>
    typeof value === "function" ? null : "a function, as in (error, attempt) => attempt < 3",
  onReport: (value) =>
    typeof value === "function" ? null : "a function, as in (value) => console.log(value)",
};

/** The options of a call. */
export const CALL_OPTIONS: readonly string[] = Object.keys(CALL_RULES);

/**
 * The options of a call on top of others, checked, for a pool of `size` workers; null for one that
 * refuses all calls here.
 */
export function readCallOptions(
  options: CallOptions,
  base: TaskOptions,
  size: number | null,
): TaskOptions {
  const deed = "submit with options";
  if (!isRecord(options)) throw noOptions(deed, options);
  let { timeout, priority, retries, signal, worker, retryOn, onReport } = base;
  // A call may have options of its own, so this is not done by way of an object of those that are
  // given.
  for (const name of Object.keys(options)) {
    const value = options[name as keyof CallOptions];
    checkOption(deed, name, value, CALL_RULES);
    if (value === undefined) continue;
    if (name === "timeout") timeout = value as number;
    else if (name === "priority") priority = value as number;
    else if (name === "retries") retries = value as number;
    else if (name === "worker") worker = workerIndex(deed, value as number, size);
    else if (name === "retryOn") retryOn = value as RetryOn;
    else if (name === "onReport") onReport = value as OnReport;
    else signal = value as AbortSignal;
  }
  return { timeout, priority, retries, signal, worker, retryOn, onReport };
}

function workerIndex(deed: string, worker: number, size: number | null): number {
  if (size === null || (Number.isInteger(worker) && worker >= 0 && worker < size)) return worker;
  const there =
    size === 1
      ? "0, the index of the pool's only worker"
      : `the index of one of the pool's ${size} workers, from 0 to ${size - 1}`;
  throw new RangeError(`Cannot ${deed}: worker must be ${there}, got ${show(worker)}`);
}
