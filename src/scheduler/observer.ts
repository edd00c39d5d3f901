import type { Task, TaskState } from "./task.ts";
import type { WorkerRecord } from "./worker-record.ts";

/** The state of a worker, as in `pool.workers`. */
export type WorkerState = "starting" | "idle" | "busy" | "overdue" | "gone";

/**
 * Called after each step of a pool's tasks and workers. It may not throw, nor call the pool. A pool
 * without one pays a comparison with null for each step.
 */
export interface Observer {
  /**
   * `task` was `from`. A done task fails after all if its result cannot be read. A task fails with
   * its worker, and is queued again where it may start again: then `from` is running, or failed.
   */
  onTask(task: Task, from: TaskState): void;
  /** A worker was `from`, and is `to`. */
  onWorker(worker: WorkerRecord, from: WorkerState, to: WorkerState): void;
}

/** Called with a task that begins, as far as is known: nothing lies before it at its worker. */
export type OnBegin = (task: Task, now: number) => void;
