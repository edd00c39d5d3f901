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
export class TaskQueue {
  readonly #workers: readonly WorkerRecord[];
  readonly #ready = new ReadyQueue<Task>();
  /** How many tasks in `#ready` are cancelled. */
  #dropped = 0;
  /** Tasks that wait for one worker, and its index. */
  readonly #pinned = new Map<Task, number>();
  /** The same with tasks that were sent: one that is queued again is still for that worker. */
  readonly #pins = new WeakMap<Task, number>();

  /** `workers` are in the places of their indices. */
  constructor(workers: readonly WorkerRecord[]) {
    this.#workers = workers;
  }

  /** Tasks that wait. */
  get size(): number {
    return this.#ready.size - this.#dropped + this.#pinned.size;
  }

  push(task: Task): void {
    this.#ready.push(task);
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
    if (index === undefined) return this.#ready.push(task);
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
  peek(): Task | undefined {
    for (;;) {
      const task = this.#ready.peek();
      if (task === undefined || task.state === "queued") return task;
      this.#ready.pop();
      this.#dropped--;
    }
  }

  /** Takes the task that `peek` has returned. */
  pop(): void {
    this.#ready.pop();
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
    for (let task = this.#ready.pop(); task !== undefined; task = this.#ready.pop()) {
      if (task.state === "queued") tasks.push(task);
    }
    this.#dropped = 0;
    this.#pinned.clear();
    return tasks;
  }

  #sweep(): void {
    if (this.#dropped < SWEEP_AT || this.#dropped * 2 < this.#ready.size) return;
    this.#ready.keep((task) => task.state === "queued");
    this.#dropped = 0;
  }
}
