import { ReadyQueue } from "./ready-queue.ts";
import type { Task } from "./task.ts";
import type { WorkerRecord } from "./worker-record.ts";

/** Cancelled tasks that are left in the queue at least, before they are swept out. */
const SWEEP_AT = 1024;

/**
 * The tasks that wait: those that any worker may take, in their order, and those for one worker,
 * which come before all others there. A task that is cancelled while it waits is skipped when it
 * comes up.
 */
export class TaskQueue extends ReadyQueue<Task> {
  readonly #workers: readonly WorkerRecord[];
  /** How many tasks in the queue are cancelled. */
  #dropped = 0;
  /** Tasks that wait for one worker, and its index. */
  readonly #pinned = new Map<Task, number>();
  /** The same with tasks that were sent: one that is queued again is still for that worker. */
  readonly #pins = new WeakMap<Task, number>();

  /** `workers` are in the places of their indices. */
  constructor(workers: readonly WorkerRecord[]) {
    super();
    this.#workers = workers;
  }

  /** Tasks that wait. */
  get waiting(): number {
    return this.size - this.#dropped + this.#pinned.size;
  }

  /** Queues a task for one worker. */
  pushFor(worker: WorkerRecord, task: Task): void {
    this.#pins.set(task, worker.index);
    worker.pinned.push(task);
    this.#pinned.set(task, worker.index);
  }

  /** Queues a task that was sent before, in its old place. */
  pushAgain(task: Task): void {
    const index = this.#pins.get(task);
    if (index === undefined) return this.push(task);
    // Its worker, or the replacement, takes it before those submitted later.
    const { pinned } = this.#workers[index]!;
    const at = pinned.findIndex(({ order }) => order > task.order);
    pinned.splice(at < 0 ? pinned.length : at, 0, task);
    this.#pinned.set(task, index);
  }

  /** Whether a task is for one worker only, queued or sent. */
  isPinned(task: Task): boolean {
    return this.#pins.has(task);
  }

  /** The most urgent task that any worker may take. */
  next(): Task | undefined {
    for (;;) {
      const task = this.peek();
      if (task === undefined || task.state === "queued") return task;
      this.pop();
      this.#dropped--;
    }
  }

  /** Takes the first task that waits for this worker only. */
  takeFor(worker: WorkerRecord): Task {
    const task = worker.pinned.shift()!;
    this.#pinned.delete(task);
    return task;
  }

  /** A queued task was cancelled. Returns the worker that it was for, null if for any. */
  drop(task: Task): WorkerRecord | null {
    const index = this.#pinned.get(task);
    if (index === undefined) {
      this.#dropped++;
      this.#sweep();
      return null;
    }
    this.#pinned.delete(task);
    const worker = this.#workers[index]!;
    worker.pinned.splice(worker.pinned.indexOf(task), 1);
    return worker;
  }

  /** Takes all tasks that wait. */
  takeAll(): Task[] {
    const tasks = this.#workers.flatMap(({ pinned }) => pinned.splice(0));
    for (let task = this.pop(); task !== undefined; task = this.pop()) {
      if (task.state === "queued") tasks.push(task);
    }
    this.#dropped = 0;
    this.#pinned.clear();
    return tasks;
  }

  #sweep(): void {
    if (this.#dropped < SWEEP_AT || this.#dropped * 2 < this.size) return;
    this.keep((task) => task.state === "queued");
    this.#dropped = 0;
  }
}
