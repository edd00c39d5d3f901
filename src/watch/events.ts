import { performance } from "../os/natives.ts";
import type { Task } from "../scheduler/task.ts";
import type { Callbacks } from "./callbacks.ts";
import type { Change, End, Place, Sink } from "./sink.ts";

/**
 * A step in the life of a task, as `pool.on("task")` tells it. Items of a map are tasks.
 *
 * @example
 * pool.on("task", ({ type, name, run }) => console.log(type, name, run));
 */
export interface TaskEvent {
  /** `"retried"`: an attempt was in vain, and another one follows. */
  readonly type: "started" | "done" | "failed" | "cancelled" | "retried";
  /** The task's number in its pool, as in messages and in `taskContext().id`. */
  readonly id: number;
  /** The function's name. */
  readonly name: string;
  /** Index of its worker; null where none was sent it. */
  readonly worker: number | null;
  /** The attempt that it is about, from 1. */
  readonly attempt: number;
  /** ms since 1970, as in `Date.now()`, with fractions. */
  readonly time: number;
  /** ms from when it was queued to its begin; null where it has not begun. */
  readonly wait: number | null;
  /** ms that the function ran; null before it has ended, and where no worker said. */
  readonly run: number | null;
  /** What it failed with, was cancelled with, or starts again after. */
  readonly error: unknown;
}

/**
 * What becomes of a worker, as `pool.on("worker")` tells it.
 *
 * @example
 * pool.on("worker", ({ type, worker, reason }) => console.log(worker, type, reason));
 */
export interface WorkerEvent {
  /**
   * `"lost"`: it has ended while it was needed. `"replaced"`: another process is started in its
   * place, whose `pid` this is. `"ready"`: that serves. `"gone"`: the pool is over.
   */
  readonly type: Change;
  readonly worker: number;
  /** MPI rank; null for a local process. */
  readonly rank: number | null;
  readonly host: string;
  /** 0 where it is not known yet. */
  readonly pid: number;
  /** ms since 1970. */
  readonly time: number;
  /** How it ended, or why it is replaced; null where there is nothing to say. */
  readonly reason: string | null;
}

type TaskStep = Pick<TaskEvent, "type" | "worker" | "run" | "error">;

/** ms since 1970 of a time of `performance.now()`. */
const epoch = (now: number): number => performance.timeOrigin + now;

/** A call that has begun. */
interface Begun {
  readonly at: number;
  readonly worker: number | null;
}

/** Tells one listener of each task. */
export class TaskEvents implements Sink {
  readonly #listener: (event: TaskEvent) => void;
  readonly #callbacks: Callbacks;
  /** Calls that have begun and not ended, by their numbers. */
  readonly #begun = new Map<number, Begun>();

  constructor(listener: (event: TaskEvent) => void, callbacks: Callbacks) {
    this.#listener = listener;
    this.#callbacks = callbacks;
  }

  begun(task: Task, offset: number, now: number): void {
    const id = task.order + offset;
    if (this.#begun.has(id)) return;
    const worker = task.record?.index ?? null;
    this.#begun.set(id, { at: now, worker });
    const step: TaskStep = { type: "started", worker, run: null, error: undefined };
    this.#tell(task, id, step, now, now);
  }

  ended(
    task: Task,
    offset: number,
    type: End,
    error: unknown,
    begin: number | null,
    end: number,
  ): void {
    const id = task.order + offset;
    // Its answer may be the first that is heard of it.
    if (begin !== null) this.begun(task, offset, begin);
    const begun = this.#take(id) ?? begin;
    const run = begin === null ? null : end - begin;
    const worker = task.record?.index ?? null;
    this.#tell(task, id, { type, worker, run, error }, end, begun);
  }

  endedAll(task: Task, offset: number, count: number, begin: number, end: number): void {
    const each = (end - begin) / count;
    for (let i = 0; i < count; i++) {
      const from = begin + i * each;
      this.ended(task, offset + i, "done", undefined, from, from + each);
    }
  }

  retried(task: Task, error: unknown, now: number): void {
    const worker = this.#begun.get(task.order)?.worker ?? null;
    const begun = this.#take(task.order);
    const step: TaskStep = { type: "retried", worker, run: null, error };
    this.#tell(task, task.order, step, now, begun, task.losses);
  }

  /** When a call has begun that has ended now; null where that is not known. */
  #take(id: number): number | null {
    const begun = this.#begun.get(id);
    this.#begun.delete(id);
    return begun?.at ?? null;
  }

  #tell(
    task: Task,
    id: number,
    step: TaskStep,
    now: number,
    begun: number | null,
    attempt = task.losses + 1,
  ): void {
    const wait = begun === null ? null : Math.max(0, begun - task.queuedAt);
    const { type, worker, run, error } = step;
    const name = task.fn.label;
    const event = { type, id, name, worker, attempt, time: epoch(now), wait, run, error };
    this.#callbacks.post(() => this.#listener(event));
  }
}

/** Tells one listener of each worker. */
export class WorkerEvents implements Sink {
  readonly #listener: (event: WorkerEvent) => void;
  readonly #callbacks: Callbacks;

  constructor(listener: (event: WorkerEvent) => void, callbacks: Callbacks) {
    this.#listener = listener;
    this.#callbacks = callbacks;
  }

  changed(type: Change, place: Place, reason: string | null, now: number): void {
    const { record, rank, host, greeting, link } = place;
    const pid = greeting?.pid ?? link?.pid ?? 0;
    const event = { type, worker: record.index, rank, host, pid, time: epoch(now), reason };
    this.#callbacks.post(() => this.#listener(event));
  }
}
