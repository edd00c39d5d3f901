import { observe } from "./estimates.ts";
import type { Observer, OnBegin, WorkerState } from "./observer.ts";
import type { TaskState, Task } from "./task.ts";
import { Placement } from "./placement.ts";
import { Choice } from "./choice.ts";
import { WorkerSets } from "./worker-sets.ts";
import { TaskQueue } from "./task-queue.ts";
import { ChildTask } from "./child-task.ts";
import type { Chunk } from "./chunk.ts";
import { Nesting } from "./nesting.ts";
import { Requeue } from "./requeue.ts";
import { Deadlines, taskOf } from "./deadlines.ts";
import { bytesOfPayload, mayWaitBehind } from "./costs.ts";
import { LOOK_MS, START_MS, STUCK_MS } from "../os/waits.ts";
import { NO_SIGNS, type Signs, type Verdict } from "./verdict.ts";
import type { WorkerRecord } from "./worker-record.ts";

/**
 * Decides which worker runs which task, and when. Pure: the time is an argument, decisions are
 * returned, and nothing here knows of processes, links or promises. Times are ms of
 * `performance.now()`, lengths of tasks are µs.
 *
 * Its workers are in sets (`worker-sets.ts`), its tasks wait in a queue (`task-queue.ts`);
 * `choice.ts` says which one starts next.
 */

/** ms between a task's deadline on the worker and the controller's own verdict. */
export const VERDICT_MS = 25;

/**
 * Bytes of a task's arguments that arrive in a ms at the least, which is a network of 100 Mbit/s:
 * the time for all of them is added to `START_MS`.
 */
export const BYTES_PER_MS = 10_000;

export class Scheduler {
  #observer: Observer | null = null;
  /** Called when a call begins, as far as is known; null, as a rule. */
  onBegin: OnBegin | null = null;
  readonly sets = new WorkerSets();
  /** In the places of their indices. */
  readonly workers: readonly WorkerRecord[] = this.sets.workers;
  readonly #queue = new TaskQueue(this.sets);
  readonly #placement = new Placement(this.sets);
  readonly #choice = new Choice(this.sets, this.#queue, this.#placement);
  readonly #deadlines = new Deadlines(this.sets.gone);
  readonly requeue = new Requeue(this, this.#placement);
  /** @internal Tasks that wait for tasks they have submitted. */
  readonly nesting = new Nesting(
    { sets: this.sets, queue: this.#queue, placement: this.#placement, requeue: this.requeue },
    (worker, task, now) => this.#start(worker, task, now),
  );

  /** `concurrency`: how many calls a worker may have under way. */
  constructor(concurrency = 1) {
    this.sets.concurrency = concurrency;
    this.#deadlines.perWorker = concurrency;
  }

  /** Called at each step; null, as a rule. */
  set observer(observer: Observer | null) {
    this.#observer = observer;
    this.sets.observer = observer;
  }

  /** Moves a task from state to state: nothing else does. */
  moveTask(task: Task, to: TaskState): void {
    const from = task.state;
    if (from === to) return;
    task.state = to;
    if (this.#observer !== null) this.#observer.onTask(task, from);
  }

  /** Tasks that wait for a worker. */
  get queued(): number {
    return this.#queue.waiting;
  }

  /**
   * Changes when a function turns out to be long: workers that hold calls of it hold more work than
   * was thought.
   */
  get priceEpoch(): number {
    return this.#placement.priceEpoch;
  }

  /** The earliest time at which `due` may return anything; Infinity for never. */
  get nextDeadline(): number {
    return this.#deadlines.next;
  }

  /** Adds a worker that takes no task before `ready` is called for it. */
  add(): WorkerRecord {
    return this.sets.add();
  }

  /**
   * Puts a starting worker in the place of one that is gone: same index, same pinned tasks. It is
   * late if it does not serve by `lateAt`.
   */
  replace(gone: WorkerRecord, lateAt = Infinity): WorkerRecord {
    const worker = this.sets.replace(gone);
    this.#deadlines.setForWorker(worker, lateAt);
    return worker;
  }

  ready(worker: WorkerRecord): void {
    if (worker.set !== this.sets.starting) return;
    worker.stuckAt = Infinity;
    this.#placement.reprice(worker);
    this.sets.move(worker, this.sets.idle);
  }

  /** Bounds how many tasks a worker may be sent before it is to be replaced. */
  allow(worker: WorkerRecord, tasks: number): void {
    worker.quota = tasks;
  }

  /** A serving worker is to be replaced, once it has answered all it was sent. */
  spend(worker: WorkerRecord): void {
    if (worker.set === this.sets.starting || worker.set === this.sets.gone) return;
    worker.quota = -Infinity; // so that reclaimed calls, which count it up, do not make it positive
    this.#placement.settle(worker);
  }

  /**
   * True, once, if a worker is retiring and has answered all it was sent: it can be closed. It is
   * taken for stuck if it is not lost or replaced soon.
   */
  retire(worker: WorkerRecord, now: number): boolean {
    if (worker.set !== this.sets.retiring || worker.inFlight.length > 0) return false;
    if (worker.hasSuspended) return false;
    if (worker.stuckAt !== Infinity) return false;
    this.#deadlines.setForWorker(worker, now + STUCK_MS);
    return true;
  }

  stateOf(worker: WorkerRecord): WorkerState {
    return this.sets.stateOf(worker);
  }

  /** Queues a task; the worker that it is for, where there is one, has to exist. */
  submit(task: Task): void {
    this.#queue.push(task);
  }

  /** Queues a task again that a worker was sent, or that is parked, in its old place. */
  submitAgain(task: Task): void {
    this.#queue.unpark(task);
    this.#reset(task);
    this.#queue.push(task);
  }

  /** A task that is not settled has failed, and no worker may take it before `submitAgain`. */
  park(task: Task): void {
    if (task.record !== null) this.workers[task.record.index]!.disown(task);
    this.#reset(task);
    this.#queue.park(task);
  }

  #reset(task: Task): void {
    this.moveTask(task, "queued");
    task.record = null;
    task.deadline = Infinity;
  }

  /** The next task to send, its `record` set; null when there is none, or no worker to take it. */
  next(now: number): Task | null {
    const { sets } = this;
    if (sets.pinnedIdle.size + sets.pinnedOpen.size > 0) {
      const worker = this.#choice.next();
      return worker === null ? null : this.#start(worker, this.#choice.task, now);
    }
    // Most programs pin nothing: there this is all.
    const { ready } = this.#queue;
    const task = ready.next();
    if (task === undefined) return null;
    const worker =
      sets.firstIdle.peek() ??
      sets.nextSpare() ??
      (mayWaitBehind(task) ? this.#placement.openWorker(task) : undefined);
    if (worker === undefined) return null;
    if (worker.isCrowded && !(task instanceof ChildTask))
      return this.nesting.nextOfCrowd(task, now);
    ready.pop();
    return this.#start(worker, task, now);
  }

  /** A task that `next` has returned cannot be sent: its worker does not know of it. */
  withdraw(task: Task): void {
    const worker = this.workers[task.record!.index]!;
    worker.removeAt(worker.indexOf(task.id));
    worker.quota += task.count;
    task.record = null;
    this.moveTask(task, "failed");
    this.#placement.settle(worker);
  }

  /** A worker has sent `Started` for a task: its timeout counts from here. */
  started(worker: WorkerRecord, id: number, now: number): void {
    const task = worker.begin(id);
    if (this.onBegin !== null && worker.begun !== null) {
      const begun = worker.inFlight.find((one) => one.id === id);
      if (begun !== undefined) this.onBegin(begun, now);
    }
    // Of several calls under way one may have been settled before it was known to have begun.
    if (worker.begun !== null && worker.stuckAt === Infinity) this.#markOverdue(worker, now);
    if (task === null) return;
    this.#deadlines.setFor(task, worker, now + task.options.timeout + VERDICT_MS);
  }

  /** A worker has sent `Finished`: the task's answer follows, and may be large. */
  finished(worker: WorkerRecord, id: number, now: number): void {
    const task = worker.finish(id);
    if (task !== null) this.#deadlines.setFor(task, worker, now + START_MS);
  }

  /**
   * A worker has answered a task after `elapsed` µs: it is `to`. Returns the task, for the caller
   * to settle; null if it was settled before (timed out, or cancelled), or the worker was never
   * sent it. Of a chunk these are the answers of `calls` of its calls, from `id` on: it is running
   * until the last.
   */
  answered(
    worker: WorkerRecord,
    id: number,
    elapsed: number,
    now: number,
    to: TaskState = "done",
    calls = 1,
  ): Task | null {
    let index = worker.indexOf(id);
    if (worker.parents !== null) {
      // It has gone on by itself, as by a timer.
      if (index < 0 && worker.resume(id) !== null) index = worker.indexOf(id);
      worker.parents.end(id);
    }
    if (index < 0) return null;
    const task = worker.inFlight.at(index)!;
    // A call that was given up may have ended early: a short time of it says nothing.
    const counts = !task.settled || elapsed > task.fn.expected;
    if (counts && observe(task.fn, elapsed / calls)) this.#placement.onLong();
    if (task.count > 1 && !(task as Chunk).answer(id, calls)) return task.settled ? null : task;
    worker.removeAt(index);
    worker.since = now;
    worker.stuckAt = Infinity;
    if (worker.runsSettled) this.#markOverdue(worker, now);
    this.#placement.settle(worker);
    if (task.state !== "running") return null;
    task.ran(elapsed);
    // A chunk has come to its end, whatever became of its last call.
    this.moveTask(task, task.count > 1 ? "done" : to);
    return task;
  }

  /**
   * Cancels a task: it is "dropped" from the queue, or its worker is to "interrupt" it; or it was
   * "settled" before, and nothing is changed.
   */
  cancel(task: Task, now: number): "dropped" | "interrupt" | "settled" {
    if (task.state === "queued") {
      this.moveTask(task, "cancelled");
      const worker = this.#queue.drop(task);
      if (worker?.set === this.sets.full) this.#placement.settle(worker);
      return "dropped";
    }
    if (task.state !== "running") return "settled";
    this.moveTask(task, "cancelled");
    const worker = this.workers[task.record!.index]!;
    // Where it waits for its children it has not the thread.
    if (worker.parents !== null && worker.inFlight.findIndex((one) => one === task) < 0)
      worker.parents.drop(task);
    else if (worker.isAt(task)) this.#markOverdue(worker, now);
    return "interrupt";
  }

  /**
   * Tasks whose time is over, and workers that are stuck or late, each returned once. A worker that
   * still receives or sends something has more time for that, and one that may be held.
   */
  due(now: number, { movedAt, mayBeHeld }: Signs = NO_SIGNS): Verdict[] {
    const verdicts: Verdict[] = [];
    for (;;) {
      const deadline = this.#deadlines.take(now);
      if (deadline === undefined) return verdicts;
      const { worker } = deadline;
      if (deadline.order === null) {
        const isLate = worker.set === this.sets.starting;
        if (!isLate && (movedAt(worker) + LOOK_MS > now || worker.isHeldByWanted)) {
          this.#deadlines.setForWorker(worker, now + STUCK_MS);
          continue;
        }
        worker.stuckAt = Infinity;
        verdicts.push({ kind: isLate ? "late" : "stuck", worker });
        continue;
      }
      const task = taskOf(deadline)!;
      const stage = worker.stageOf(task);
      const isHeld = worker.isHeldByWanted || (stage === "sent" && mayBeHeld(worker));
      const since = isHeld ? now : movedAt(worker);
      if (stage !== "begun" && since + START_MS > now) {
        this.#deadlines.setFor(task, worker, since + START_MS);
        continue;
      }
      this.moveTask(task, "failed");
      if (worker.hasSuspended) worker.parents!.drop(task);
      this.#markOverdue(worker, now);
      verdicts.push({ kind: "expired", task, worker, stage });
    }
  }

  /**
   * A worker with tasks in flight is recalled: it is sent nothing until it has acknowledged that
   * (`acknowledged`).
   */
  recall(worker: WorkerRecord): void {
    worker.recalled = true;
    this.sets.move(worker, this.sets.overdue);
  }

  /** A worker has acknowledged a recall, and dropped the calls it had not begun. */
  acknowledged(worker: WorkerRecord): void {
    if (!worker.recalled) return;
    worker.recalled = false;
    this.#placement.settle(worker);
  }

  /** Takes every task that is not settled, queued and running, marking each cancelled. */
  drain(): Task[] {
    const tasks = this.drainQueue();
    for (const worker of this.workers) {
      for (const task of [...worker.inFlight, ...(worker.parents?.waiting() ?? [])]) {
        if (task.state !== "running") continue;
        this.moveTask(task, "cancelled");
        tasks.push(task);
      }
    }
    return tasks;
  }

  /** Calls `visit` with each task that is not settled, in no order. */
  forEachUnsettled(visit: (task: Task) => void): void {
    this.#queue.forEach(visit);
    for (const { inFlight, parents } of this.workers) {
      for (const task of inFlight) if (task.state === "running") visit(task);
      for (const task of parents?.waiting() ?? []) visit(task);
    }
  }

  /** Takes every task that waits for a worker, marking each cancelled. */
  drainQueue(): Task[] {
    const tasks = this.#queue.takeAll();
    for (const worker of this.workers)
      if (worker.set === this.sets.full) this.#placement.settle(worker);
    for (const task of tasks) this.moveTask(task, "cancelled");
    return tasks;
  }

  #start(worker: WorkerRecord, task: Task, now: number): Task {
    this.moveTask(task, "running");
    task.record = worker;
    worker.push(task);
    if (worker.inFlight.length === 1) {
      worker.since = now;
      if (this.onBegin !== null && worker.begun === null) this.onBegin(task, now);
    }
    if (!task.isPlain && task.options.timeout !== Infinity) {
      worker.stage = "sent";
      const startMs = START_MS + bytesOfPayload(task.payload) / BYTES_PER_MS;
      this.#deadlines.setFor(task, worker, now + task.options.timeout + startMs);
    }
    this.#placement.settle(worker);
    return task;
  }

  /**
   * Makes a worker overdue if the task it runs was settled without it. A settled call that lies
   * behind another one waits for its turn: the one before it is not to blame.
   */
  #markOverdue(worker: WorkerRecord, now: number): void {
    if (worker.set === this.sets.gone || !worker.runsSettled) return;
    if (worker.set !== this.sets.overdue) this.sets.move(worker, this.sets.overdue);
    this.#deadlines.setForWorker(worker, now + STUCK_MS);
  }
}
