import { type Connection, describe } from "./connection.ts";
import { explainExit, type ExitStatus, unknownExit } from "../os/exit.ts";
import { BsyncError, WorkerLostError } from "../errors.ts";
import { NoMemoryError } from "../link/local/memory.ts";
import { SETTLED_MS } from "../os/waits.ts";
import type { Task } from "../scheduler/task.ts";

/**
 * What the end of a worker is for whoever waits: one error for each way in which a task, or all,
 * are lost.
 */

/** How often in a row a worker may die in one place before it has done anything. */
export const START_TRIES = 3;

/** How many workers a task may cost that die while they load what it needs. */
const LOAD_TRIES = 3;

/** It was running the task, or held its answer. */
export function lostWhileRunning(
  task: Task,
  worker: Connection,
  ending: ExitStatus,
): WorkerLostError {
  const again = task.losses > 1 ? `, as ${task.losses - 1} before it` : "";
  return lost(`Cannot finish ${task.label}`, worker, ending, `while running it${again}`);
}

/** It is the last one that may end while it loads what the task needs. */
export function lostWhileLoading(
  task: Task,
  worker: Connection,
  ending: ExitStatus,
): WorkerLostError {
  const when = `while it loaded the modules that it needs, as ${LOAD_TRIES} workers did`;
  return lost(`Cannot start ${task.label}`, worker, ending, when);
}

/** It is the last one that may end in its place before it has done anything. */
export function startsExhausted(worker: Connection, ending: ExitStatus): WorkerLostError {
  const when = `before it did anything, as the ${START_TRIES - 1} before it in its place`;
  const cause = explainExit(ending, "its initializer, or the top level of a module,");
  return lost("Cannot keep the pool going", worker, { cause, ...ending }, when);
}

/**
 * Whom the system refuses a process, or what goes with one, while a pool of `workers` workers
 * opens.
 */
export function notStarted(workers: number, index: number, error: unknown): unknown {
  return refusedBySystem(
    `Cannot open a pool of ${workers} workers: worker ${index} could not be started`,
    error,
  );
}

/** The same of one that is to take the place of another. */
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

/** What raises the limits of which the system speaks. */
const LIMITS: Readonly<Record<string, string>> = { EMFILE: "ulimit -n", EAGAIN: "ulimit -u" };

/** How a worker ends that is given up before it has served. */
export function neverServed({ greeting }: Connection, timeout: number): ExitStatus {
  const what = greeting === null ? "had not answered" : "was still in its initializer";
  const text = `${what} ${timeout} ms after its start (openTimeout), and was given up`;
  const cause = "see what its initializer, or the top level of that module, waits for";
  return { ...unknownExit(text), cause };
}

/** Whether a worker that was lost without a task had done anything before. */
export function diedUnused({ hasAnswered, readyAt }: Connection, now: number): boolean {
  return !hasAnswered && now - readyAt < SETTLED_MS;
}

/**
 * Tasks whose workers died while they loaded what those need: they had not begun, and are queued
 * again.
 */
export class LoadFailures {
  readonly #inVain = new WeakMap<Task, number>();

  /** Counts one more; true if the task has cost as many as it may. */
  cost(task: Task): boolean {
    const count = (this.#inVain.get(task) ?? 0) + 1;
    this.#inVain.set(task, count);
    return count >= LOAD_TRIES && task.state === "queued";
  }
}

function lost(what: string, worker: Connection, ending: ExitStatus, when: string): WorkerLostError {
  const { exitCode, signal, text, cause = explainExit(ending) } = ending;
  return new WorkerLostError(`${what}: ${describe(worker)} ${text} ${when}; ${cause}`, {
    worker: worker.record.index,
    rank: worker.rank,
    pid: worker.greeting?.pid ?? 0,
    exitCode,
    signal,
  });
}
