import { ChildTask } from "./child-task.ts";
import type { Chunk } from "./chunk.ts";
import type { Placement } from "./placement.ts";
import type { Requeue } from "./requeue.ts";
import type { Task } from "./task.ts";
import type { TaskQueue } from "./task-queue.ts";
import type { WorkerRecord } from "./worker-record.ts";
import type { WorkerSets } from "./worker-sets.ts";

/** The parts of the scheduler that move tasks. */
interface NestingParts {
  readonly sets: WorkerSets;
  readonly queue: TaskQueue;
  readonly placement: Placement;
  readonly requeue: Requeue;
}

/** Tasks that wait for tasks they have submitted, and those tasks. */
export class Nesting {
  readonly #parts: NestingParts;
  readonly #start: (worker: WorkerRecord, task: Task, now: number) => Task;

  /** `start` sends a task that has left the queue. */
  constructor(parts: NestingParts, start: (worker: WorkerRecord, task: Task, now: number) => Task) {
    this.#parts = parts;
    this.#start = start;
  }

  /**
   * A task's call waits for its children: its worker may begin others meanwhile. Void where it is
   * about to hear of the end of one. The rest of its chunk is for any worker.
   */
  suspend(worker: WorkerRecord, id: number, isVoid = false): void {
    const { requeue, placement } = this.#parts;
    const task = worker.taskAt(id);
    if (task !== undefined && task.count > 1) requeue.leaveRest(task as Chunk, id);
    if (isVoid) return;
    if (worker.suspend(id) !== null) placement.settle(worker);
  }

  /** A child of a task is settled, and the worker learns of it: the call goes on, if it waited. */
  resume(worker: WorkerRecord, id: number): void {
    if (worker.resume(id) !== null) this.#parts.placement.settle(worker);
  }

  /** A queued task goes to this worker, whatever else waits: it runs there within another. */
  assign(worker: WorkerRecord, task: Task): void {
    this.#parts.queue.remove(task);
    this.#start(worker, task, 0);
  }

  /** The next task to send, where a worker begins nothing but children, and `task` is none. */
  nextOfCrowd(task: Task, now: number): Task | null {
    const { sets, queue } = this.#parts;
    const child = queue.ready.find((one) => one instanceof ChildTask);
    for (const worker of sets.idle) {
      const next = worker.isCrowded ? child : task;
      if (next === undefined) continue;
      queue.remove(next);
      return this.#start(worker, next, now);
    }
    return null;
  }
}
