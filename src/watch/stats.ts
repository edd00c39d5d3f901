import { performance } from "../os/natives.ts";
import type { WorkerState } from "../scheduler/observer.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";
import type { Times } from "./histogram.ts";
import type { Tally } from "./tally.ts";
import { lookAtUsage } from "./usage.ts";
import type { Watch } from "./watch.ts";

/** What one worker has done so far; see `PoolStats`. */
export interface WorkerStats {
  /** Its place in `pool.workers`. A process that replaces another one goes on with its numbers. */
  readonly index: number;
  /** MPI rank, in the communicator of the pool; null for a local process. */
  readonly rank: number | null;
  readonly host: string;
  /** 0 before it has answered. */
  readonly pid: number;
  readonly state: WorkerState;
  /** Tasks that it has settled. */
  readonly done: number;
  readonly failed: number;
  /** How much of the time since `open` functions ran there: from 0 to 1. */
  readonly busy: number;
  /** Bytes of all messages to it, and from it. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Bytes resident. */
  readonly memory: number;
  /** Seconds of processor time since it serves this pool. */
  readonly cpu: number;
}

/**
 * What `pool.stats()` returns. Each item of a map counts as a task. All lengths of time are ms, but
 * for `cpu`.
 *
 * @example
 * const { done, run, workers } = pool.stats();
 * const busiest = Math.max(...workers.map(({ busy }) => busy));
 * console.log(`${done} tasks of ${run.p50} ms; the busiest worker: ${busiest}`);
 */
export interface PoolStats {
  /** Since the pool was opened; once it is over, until then. */
  readonly uptime: number;
  /** Tasks that have not begun. */
  readonly queued: number;
  /** Tasks that run now: as many as a worker may have under way at most. */
  readonly running: number;
  /** Tasks that have begun, and wait for tasks of their own. */
  readonly suspended: number;
  readonly done: number;
  readonly failed: number;
  readonly cancelled: number;
  /** How often a task has started again, after an attempt that was in vain. */
  readonly retried: number;
  readonly workersLost: number;
  /** From when a task was queued to its begin. */
  readonly wait: Times;
  /** How long functions ran, in each attempt. */
  readonly run: Times;
  readonly workers: readonly WorkerStats[];
}

/** A worker as the pool shows it, with what is counted of it. */
export interface WatchedWorker {
  readonly index: number;
  readonly rank: number | null;
  readonly host: string;
  readonly pid: number;
  readonly state: WorkerState;
  readonly record: WorkerRecord;
  readonly tally: Tally;
  /** Bytes that its latest connection has sent it. */
  readonly sent: number;
  /** Whether the numbers of its processes are those of this process. */
  readonly isHere: boolean;
}

/** How many calls wait, run, and wait for tasks of their own. */
export function loadOf(
  watch: Watch,
  records: readonly WorkerRecord[],
): { readonly queued: number; readonly running: number; readonly suspended: number } {
  const { unsettled, concurrency } = watch;
  let running = 0;
  let suspended = 0;
  for (const record of records) {
    running += runningOn(record, concurrency);
    suspended += record.parents?.suspended ?? 0;
  }
  return { queued: Math.max(0, unsettled - running - suspended), running, suspended };
}

export function statsOf(watch: Watch, workers: readonly WatchedWorker[]): PoolStats {
  const { uptime } = watch;
  const { done, failed, cancelled, retried, workersLost } = watch;
  const records = workers.map(({ record }) => record);
  const { queued, running, suspended } = loadOf(watch, records);
  return {
    ...{ uptime, queued, running, suspended, done, failed, cancelled, retried, workersLost },
    ...{ wait: watch.wait.times, run: watch.run.times },
    workers: workers.map((worker) => statsOfWorker(worker, uptime)),
  };
}

function statsOfWorker(worker: WatchedWorker, uptime: number): WorkerStats {
  const { index, rank, host, pid, state, record, tally, sent, isHere } = worker;
  if (isHere && state !== "gone") lookAtUsage(tally, pid);
  const { done, failed, bytesOut, memory, cpu } = tally;
  const ms = tally.busyUs / 1000 + record.underWay(performance.now());
  return {
    ...{ index, rank, host, pid, state, done, failed },
    busy: uptime > 0 ? Math.min(1, ms / uptime) : 0,
    ...{ bytesIn: tally.bytesInBefore + sent, bytesOut, memory, cpu },
  };
}

/** Calls that run there: what else was sent waits for its turn. */
function runningOn({ inFlight }: WorkerRecord, most: number): number {
  let count = 0;
  for (let i = 0; i < inFlight.length && count < most; i++) {
    const task = inFlight.at(i)!;
    if (!task.settled) count += task.left;
  }
  return Math.min(count, most);
}
