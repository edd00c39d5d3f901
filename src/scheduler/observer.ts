import type { Task, TaskState, WorkerRecord } from "./task.ts";

/** How a worker is, as `pool.workers` says it. */
export type WorkerState = "starting" | "idle" | "busy" | "overdue" | "gone";

/**
 * Hears of each step of the tasks and workers of a pool, after it was made. It may not throw, nor
 * call the pool. A pool without one pays a comparison with null for each step.
 */
export interface Observer {
  /** `task` was `from`. A task that is done may fail after all, if its result cannot be read. */
  onTask(task: Task, from: TaskState): void;
  /** A worker was `from`. */
  onWorker(worker: WorkerRecord, from: WorkerState, to: WorkerState): void;
}
