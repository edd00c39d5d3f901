import { type Connection, describe } from "./connection.ts";
import { explainExit, type ExitStatus, unknownExit } from "../os/exit.ts";
import { BsyncError, madeWithoutFrames, WorkerLostError } from "../errors.ts";
import { NoMemoryError } from "../link/local/memory.ts";
import { SETTLED_MS } from "../os/waits.ts";
import { performance } from "../os/natives.ts";
import type { Task } from "../scheduler/task.ts";

/** One error for each way in which the end of a worker fails a task, or the whole pool. */

/** How many workers in a row may die in one place before they have done anything. */
export const START_TRIES = 3;

/** How many workers may die while they load one task's modules. */
const LOAD_TRIES = 3;

/** The worker was running the task, held its answer, or had it wait for its children. */
export function lostWhileRunning(
  task: Task,
  worker: Connection,
  ending: ExitStatus,
  hasWaited: boolean,
): WorkerLostError {
  const { losses, options } = task;
  // With `retryOn` attempts may have been in vain that cost no worker.
  const before = options.retryOn === null ? `as ${losses - 1} before it` : `in attempt ${losses}`;
  const again = losses > 1 ? `, ${before}` : "";
  const when = hasWaited
    ? "while the task waited there for others that it had submitted"
    : "while running it";
  return lost(`Cannot finish ${task.label}`, worker, ending, `${when}${again}`);
}

/** The worker is the last that may end while it loads the task's modules. */
export function lostWhileLoading(
  task: Task,
  worker: Connection,
  ending: ExitStatus,
): WorkerLostError {
  const when = `while it loaded the modules that it needs, as ${LOAD_TRIES} workers did`;
  return lost(`Cannot start ${task.label}`, worker, ending, when);
}

/** The worker is the last that may end in its place before it has done anything. */
export function startsExhausted(worker: Connection, ending: ExitStatus): WorkerLostError {
  const when = `before it did anything, as the ${START_TRIES - 1} before it in its place`;
  const cause = explainExit(ending, "its initializer, or the top level of a module,");
  return lost("Cannot keep the pool going", worker, { cause, ...ending }, when);
}

/** The system refused a process, or what one needs, while a pool of `workers` workers opened. */
export function notStarted(workers: number, index: number, error: unknown): unknown {
  return refusedBySystem(
    `Cannot open a pool of ${workers} workers: worker ${index} could not be started`,
    error,
  );
}

/** The same for a replacement of `worker`. */
export function notReplaced(worker: Connection, error: unknown): unknown {
  return refusedBySystem(
    `Cannot keep the pool going: no other process could be started for ${describe(worker)}`,
    error,
  );
}

function refusedBySystem(what: string, error: unknown): unknown {
  if (error instanceof BsyncError || !Error.isError(error)) return error;
  const limit = LIMITS[String(Reflect.get(error, "code"))];
  const cure = limit === undefined ? "" : `; raise the limit (${limit}), or open fewer`;
  const advice = error instanceof NoMemoryError ? `; ${error.cure}` : cure;
  return new BsyncError("BSYNC_START", `${what} (${error.message})${advice}`, { cause: error });
}

/** What raises the limit that an error code stands for. */
const LIMITS: Readonly<Record<string, string>> = { EMFILE: "ulimit -n", EAGAIN: "ulimit -u" };

/** The exit status of a worker that was given up before it served. */
export function neverServed({ greeting }: Connection, timeout: number): ExitStatus {
  const what = greeting === null ? "had not answered" : "was still in its initializer";
  const text = `${what} ${timeout} ms after its start (openTimeout), and was given up`;
  const cause = "see what its initializer, or the top level of that module, waits for";
  return { ...unknownExit(text), cause };
}

/** Why a worker is killed that does not come to the end of a task, if known: which. */
export function stuckAt(task: Task | null): string {
  const held = (which: string, since: string) =>
    `bsync has ended it, as ${which} still held its thread after it ${since}`;
  if (task === null) return held("a task", "had timed out, or was cancelled");
  return held(task.label, task.state === "cancelled" ? "was cancelled" : "had timed out");
}

/** Why a process is killed that does not move, with nothing that is known to run there. */
export const HELD =
  "bsync has ended it, as it neither began what it was sent nor read: something that an earlier " +
  "task left behind held its thread";

/**
 * ms after which another has ended the child of a rank: the rank does not kill one that has moved
 * on meanwhile, and does not tell.
 */
const KILLED_MS = 10_000;

/** The end of a worker, with its cause where this side has killed it. */
export function explained(status: ExitStatus, { killed, rank }: Connection): ExitStatus {
  if (killed === null || status.signal !== "SIGKILL") return status;
  const isIt = rank === null || performance.now() - killed.at < KILLED_MS;
  return isIt ? { ...status, cause: killed.why } : status;
}

/** Whether a worker that was lost without a task ended before it had done anything. */
export function diedUnused({ hasAnswered, readyAt }: Connection, now: number): boolean {
  return !hasAnswered && now - readyAt < SETTLED_MS;
}

/**
 * Counts workers that died while they loaded a task's modules: it had not begun, and is queued
 * again.
 */
export class LoadFailures {
  readonly #failures = new WeakMap<Task, number>();

  /** Counts one more worker; true if the task may cost no further one. */
  cost(task: Task): boolean {
    const count = (this.#failures.get(task) ?? 0) + 1;
    this.#failures.set(task, count);
    return count >= LOAD_TRIES && task.state === "queued";
  }
}

function lost(what: string, worker: Connection, ending: ExitStatus, when: string): WorkerLostError {
  const { exitCode, signal, text, cause = explainExit(ending) } = ending;
  const message = `${what}: ${describe(worker)} ${text} ${when}; ${cause}`;
  const who = {
    worker: worker.record.index,
    rank: worker.rank,
    pid: worker.greeting?.pid ?? 0,
    exitCode,
    signal,
  };
  return madeWithoutFrames(() => new WorkerLostError(message, who));
}
