import { mayWaitBehind } from "./costs.ts";
import type { Placement } from "./placement.ts";
import { comesBefore } from "./ready-queue.ts";
import type { Task } from "./task.ts";
import type { TaskQueue } from "./task-queue.ts";
import type { WaitingTasks } from "./waiting-tasks.ts";
import type { WorkerRecord } from "./worker-record.ts";
import type { WorkerSets } from "./worker-sets.ts";

/**
 * Chooses the next task to start, and its worker. The most urgent task that any worker may take
 * waits for an idle worker if it must, and nothing overtakes it there. Pinned tasks are one queue
 * more for each worker, which takes the more urgent of the two heads; of equally urgent ones the
 * one submitted first.
 */
export class Choice {
  readonly #sets: WorkerSets;
  readonly #queue: TaskQueue;
  readonly #placement: Placement;
  /** Tasks for any worker. */
  readonly #ready: WaitingTasks;
  #task: Task | null = null;

  constructor(sets: WorkerSets, queue: TaskQueue, placement: Placement) {
    this.#sets = sets;
    this.#queue = queue;
    this.#placement = placement;
    this.#ready = queue.ready;
  }

  /** The task for the worker that `next` has returned last; it has left the queue. */
  get task(): Task {
    return this.#task!;
  }

  /** The worker that is to be sent `task`, where workers that have room have pinned tasks. */
  next(): WorkerRecord | null {
    const task = this.#ready.next();
    const sets = this.#sets;
    if (sets.pinnedIdle.size > 0) {
      const worker = sets.firstPinnedIdle.peek()!;
      if (isDue(worker, task)) return this.#startPinned(worker);
    }
    if (task !== undefined && sets.free > 0) return this.#start(this.#freeFor(), task);
    const worker = this.#behindPinned(task);
    if (worker !== null) return worker;
    return task !== undefined && mayWaitBehind(task) ? this.#behind(task) : null;
  }

  /**
   * The free worker for a task that any may take: one without pinned tasks, which can start at once
   * where they are then; else the first, whose own come after that task.
   */
  #freeFor(): WorkerRecord {
    const { idle, spare, free, pinnedIdle, firstPinnedIdle } = this.#sets;
    if (free > pinnedIdle.size) {
      for (const worker of idle) if (!pinnedIdle.has(worker)) return worker;
      for (const worker of spare) if (!pinnedIdle.has(worker)) return worker;
    }
    return firstPinnedIdle.peek()!;
  }

  /** Sends a short task behind others; where a worker's own task comes before it, that one. */
  #behind(task: Task): WorkerRecord | null {
    for (;;) {
      const worker = this.#placement.openWorker(task);
      if (worker === undefined) return null;
      if (!worker.hasPinned || !isDue(worker, task)) return this.#start(worker, task);
      if (this.#sendBehind(worker)) return worker;
    }
  }

  /**
   * Sends a pinned task that comes before `task` behind others of its worker. Workers that can be
   * sent nothing for now are taken for full: they are looked at again when they have answered.
   */
  #behindPinned(task: Task | undefined): WorkerRecord | null {
    const { firstPinnedOpen, full } = this.#sets;
    for (;;) {
      const worker = firstPinnedOpen.peek();
      if (worker === undefined) return null;
      if (isDue(worker, task)) {
        if (this.#sendBehind(worker)) return worker;
      } else if (mayWaitBehind(task!)) {
        return null;
      } else this.#sets.move(worker, full);
    }
  }

  /**
   * Sends the first pinned task of an open worker, if it may wait behind others; else nothing is
   * sent there before it. It can run nowhere else: so it may go ahead to a worker from which
   * nothing can be taken back, too.
   */
  #sendBehind(worker: WorkerRecord): boolean {
    if (!this.#placement.hasRoom(worker)) return false;
    if (!mayWaitBehind(worker.pinned!.next()!)) {
      this.#sets.move(worker, this.#sets.full);
      return false;
    }
    this.#startPinned(worker);
    return true;
  }

  #start(worker: WorkerRecord, task: Task): WorkerRecord {
    this.#ready.pop();
    this.#task = task;
    return worker;
  }

  #startPinned(worker: WorkerRecord): WorkerRecord {
    this.#task = this.#queue.takeFor(worker);
    return worker;
  }
}

/** Whether a worker's first pinned task comes before `task`, the first that any may take. */
function isDue(worker: WorkerRecord, task: Task | undefined): boolean {
  return task === undefined || comesBefore(worker.pinned!.next()!, task);
}
