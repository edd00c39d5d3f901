import { comesBefore, ReadyQueue } from "./ready-queue.ts";
import type { Task } from "./task.ts";

/** Cancelled tasks that are left in a queue at least, before they are swept out. */
const SWEEP_AT = 1024;

/**
 * Tasks that wait in their order. A task that is cancelled while it waits stays where it is: it is
 * skipped when it comes up.
 */
export class WaitingTasks extends ReadyQueue<Task> {
  /** How many tasks in the queue are cancelled. */
  #dropped = 0;

  /** How many tasks wait. */
  get waiting(): number {
    return this.size - this.#dropped;
  }

  /** The first task that waits; undefined for none. */
  next(): Task | undefined {
    for (;;) {
      const task = this.peek();
      if (task === undefined || task.state === "queued") return task;
      this.pop();
      this.#dropped--;
    }
  }

  /** One of its tasks was cancelled. */
  drop(): void {
    this.#dropped++;
    if (this.#dropped < SWEEP_AT || this.#dropped * 2 < this.size) return;
    this.keep((task) => task.state === "queued");
    this.#dropped = 0;
  }

  /** A task that waits and is `wanted`, of several the first; undefined for none. O(n). */
  find(wanted: (task: Task) => boolean): Task | undefined {
    let first: Task | undefined;
    this.forEach((task) => {
      if (wanted(task) && (first === undefined || comesBefore(task, first))) first = task;
    });
    return first;
  }

  /** Takes all tasks that wait. */
  takeAll(): Task[] {
    const tasks: Task[] = [];
    for (let task = this.pop(); task !== undefined; task = this.pop()) {
      if (task.state === "queued") tasks.push(task);
    }
    this.#dropped = 0;
    return tasks;
  }

  /** Calls `visit` with each task that waits, in no order. O(n). */
  forEach(visit: (task: Task) => void): void {
    this.keep((task) => {
      if (task.state === "queued") visit(task);
      return task.state === "queued";
    });
    this.#dropped = 0;
  }
}
