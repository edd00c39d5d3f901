export {
  BsyncError,
  CancelledError,
  CheckpointError,
  FunctionError,
  MpiError,
  PoolClosedError,
  ProcException,
  QueueFullError,
  TimeoutError,
  ValueError,
  WorkerLostError,
} from "./src/errors.ts";
export type { CheckpointOptions } from "./src/checkpoint/options.ts";
export { task } from "./src/function/registry.ts";
export { type GetOptions, MessageHandle } from "./src/handle.ts";
export { getRank, getSize, usingMpi } from "./src/job/environment.ts";
export type { CallOptions, PoolOptions } from "./src/options.ts";
export type { WorkerList } from "./src/worker-list.ts";
export type { PoolRole } from "./src/open/opened.ts";
export { AsyncPool } from "./src/pool.ts";
export type { WorkerInfo } from "./src/worker-info.ts";
export type { Times } from "./src/watch/histogram.ts";
export type { TaskEvent, WorkerEvent } from "./src/watch/events.ts";
export type { ProgressOptions, ProgressStream } from "./src/watch/progress-options.ts";
export type { Dashboard, TraceHandle } from "./src/watch/lazy.ts";
export type { DashboardOptions } from "./src/watch/dashboard-options.ts";
export type { TraceOptions } from "./src/watch/trace-options.ts";
export type { PoolStats, WorkerStats } from "./src/watch/stats.ts";
export type { ItemsOf, PoolView } from "./src/pool-calls.ts";
export type { Results } from "./src/map/results.ts";
export type { MapOptions, Settled } from "./src/map/settings.ts";
export type { Completed } from "./src/gather/as-completed.ts";
export { Shared } from "./src/share/shared.ts";
export type { OnReport, ReportOrigin, RetryOn, TaskState } from "./src/scheduler/task.ts";
export { type TaskContext, taskContext } from "./src/context.ts";
