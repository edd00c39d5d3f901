import type { Task } from "./task.ts";
import { WaitingTasks } from "./waiting-tasks.ts";
import type { WorkerRecord } from "./worker-record.ts";
import type { WorkerSets } from "./worker-sets.ts";

/**
 * The tasks that wait: those that any worker may take, those for one worker (pinned), and those
 * that are parked, which no worker may take yet.
 */
export class TaskQueue {
  /** Tasks for any worker. */
  readonly ready = new WaitingTasks();
  readonly #sets: WorkerSets;
  /** How many pinned tasks wait. */
  #pinned = 0;
  readonly #parked = new Set<Task>();

  constructor(sets: WorkerSets) {
    this.#sets = sets;
  }

  /** Tasks that wait. */
  get waiting(): number {
    return this.ready.waiting + this.#pinned + this.#parked.size;
  }

  /** Queues a task in its place: one that was sent before has its old place again. */
  push(task: Task): void {
    if (task.options.worker === null) return this.ready.push(task);
    const worker = this.#sets.workers[task.options.worker]!;
    worker.pinned ??= new WaitingTasks();
    worker.pinned.push(task);
    this.#pinned++;
    this.#sets.pin(worker);
  }

  /** Takes the first task that waits for this worker only. */
  takeFor(worker: WorkerRecord): Task {
    const pinned = worker.pinned!;
    const task = pinned.next()!;
    pinned.pop();
    this.#pinned--;
    if (pinned.waiting === 0) this.#sets.unpin(worker);
    return task;
  }

  /** The task waits, and no worker may take it until it is pushed again. */
  park(task: Task): void {
    this.#parked.add(task);
  }

  /** The task is parked no more; false if it was not. */
  unpark(task: Task): boolean {
    return this.#parked.size > 0 && this.#parked.delete(task);
  }

  /** A waiting task waits no more. O(n). */
  remove(task: Task): void {
    if (this.unpark(task)) return;
    const isOther = (one: Task) => one !== task;
    if (task.options.worker === null) return this.ready.keep(isOther);
    const worker = this.#sets.workers[task.options.worker]!;
    worker.pinned!.keep(isOther);
    this.#pinned--;
    if (worker.pinned!.waiting === 0) this.#sets.unpin(worker);
  }

  /** A waiting task was cancelled. Returns the worker that it was for, null if for any. */
  drop(task: Task): WorkerRecord | null {
    if (this.unpark(task)) return null;
    if (task.options.worker === null) {
      this.ready.drop();
      return null;
    }
    const worker = this.#sets.workers[task.options.worker]!;
    worker.pinned!.drop();
    this.#pinned--;
    if (worker.pinned!.waiting === 0) this.#sets.unpin(worker);
    return worker;
  }

  /** Takes all tasks that wait. */
  takeAll(): Task[] {
    const pinned = this.#sets.workers.flatMap((worker) => {
      this.#sets.unpin(worker);
      return worker.pinned?.takeAll() ?? [];
    });
    const tasks = [pinned, [...this.#parked], this.ready.takeAll()].flat();
    this.#pinned = 0;
    this.#parked.clear();
    return tasks;
  }

  /** Calls `visit` with each task that waits, in no order. O(n). */
  forEach(visit: (task: Task) => void): void {
    this.ready.forEach(visit);
    for (const { pinned } of this.#sets.workers) pinned?.forEach(visit);
    this.#parked.forEach(visit);
  }
}
