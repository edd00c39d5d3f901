import { Heap } from "../collections/heap.ts";
import type { Task } from "./task.ts";
import type { WorkerRecord } from "./worker-record.ts";

/**
 * When a task is given up or, without a task, a worker is taken for stuck or late. An overtaken
 * deadline stays for a while: it holds the number of its task, and not the task, whose result may
 * be large.
 */
export interface Deadline {
  /** The task's `order`; null for none. */
  readonly order: number | null;
  readonly worker: WorkerRecord;
  readonly time: number;
}

/** Overtaken deadlines that are kept at least, before they are swept out. */
const SWEEP_AT = 1024;

/** When something is due of tasks and workers, the earliest first. */
export class Deadlines {
  readonly #heap = new Heap<Deadline>();
  #count = 0;
  /** Tasks with a deadline that a worker may have under way. */
  perWorker = 1;
  readonly #gone: ReadonlySet<WorkerRecord>;

  /** A worker's deadlines end once its set is `gone`, also when a replacement has its place. */
  constructor(gone: ReadonlySet<WorkerRecord>) {
    this.#gone = gone;
  }

  /** The earliest time; Infinity for never. */
  get next(): number {
    return this.#heap.peekKey();
  }

  /** A task is to be given up at `time`, and at no other. */
  setFor(task: Task, worker: WorkerRecord, time: number): void {
    task.deadline = time;
    this.#push({ order: task.order, worker, time });
  }

  /** A worker is stuck or late at `time`, and at no other. */
  setForWorker(worker: WorkerRecord, time: number): void {
    worker.stuckAt = time;
    if (time !== Infinity) this.#push({ order: null, worker, time });
  }

  /** Takes the next deadline that is due; undefined for none. */
  take(now: number): Deadline | undefined {
    while (this.#heap.peekKey() <= now) {
      const deadline = this.#heap.pop()!;
      if (this.#isLive(deadline)) return deadline;
    }
    return undefined;
  }

  /** Sweeps out overtaken deadlines where they pile up. */
  #push(deadline: Deadline): void {
    this.#heap.push(deadline, deadline.time, this.#count++);
    // No worker has more that are live: a task with a deadline lies behind no other.
    if (this.#heap.size < SWEEP_AT + 4 * (deadline.worker.index + 1) * this.perWorker) return;
    this.#heap.keep((deadline) => this.#isLive(deadline));
  }

  /** Whether a deadline has not been overtaken since it was set. */
  #isLive(deadline: Deadline): boolean {
    const { order, worker, time } = deadline;
    if (order !== null) return taskOf(deadline) !== undefined;
    return worker.set !== this.#gone && worker.stuckAt === time;
  }
}

/** The task of a deadline, if it still runs, and has no other deadline by now. */
export function taskOf({ order, worker, time }: Deadline): Task | undefined {
  const task =
    worker.inFlight.find((task) => task.order === order) ??
    [...(worker.parents?.waiting() ?? [])].find((task) => task.order === order);
  return task?.state === "running" && task.deadline === time ? task : undefined;
}
