import { TaskQueue } from "./task-queue.ts";
import { Deadlines, taskOf } from "./deadlines.ts";
import { costOf, IN_FLIGHT_US, mayGoAhead, mayWaitBehind, sum } from "./costs.ts";
import { type KnownFunction, observe } from "./estimates.ts";
import { FirstOfSet } from "../collections/first-of-set.ts";
import { START_MS, STUCK_MS } from "../os/waits.ts";
import { bytesOf, type WorkerStage, type Task, WorkerRecord } from "./task.ts";

/**
 * Who runs what, and when. Pure: the time is an argument, what is to be done is returned, and
 * nothing here knows of processes, links or promises. Times are ms of `performance.now()`,
 * lengths of tasks are µs.
 *
 * A worker is in exactly one set at a time, and `#move` alone changes that:
 *
 *   starting ──ready──▶ idle ◀──▶ open ◀──▶ full        takes tasks: idle, open
 *                         └────────┴──────────┴──overdue──▶ overdue ──answers──▶ idle
 *   idle, open, full ──left no task, or spend──▶ spent ──retire, lose──▶ gone
 *   any ──lose──▶ gone
 *
 * `idle` has nothing in flight; `open` has, but only calls known to be short, and may be sent more
 * behind them; `full` may not, or has a pinned task to come to first; `overdue` still runs
 * something that was already settled (timed out, or cancelled), or has not said yet that it knows
 * what was taken back from it (`recall`), and is sent nothing until it answers; `spent` has had all
 * the tasks it may have, and is to be replaced once it has answered them.
 */

/** ms between a task's deadline on the worker and the controller's own verdict. */
export const VERDICT_MS = 25;

/**
 * Bytes of its arguments that arrive in a ms at the least, which is a network of 100 Mbit/s: what
 * they take comes on top.
 */
export const BYTES_PER_MS = 10_000;

/**
 * What `due` says is to be done: a task has had its time; a worker goes on with what was settled
 * without it, or does not go when it is let go; one that was put in another's place does not come
 * to serve.
 */
export type Verdict =
  | {
      readonly kind: "expired";
      readonly task: Task;
      readonly worker: WorkerRecord;
      readonly stage: WorkerStage;
    }
  | { readonly kind: "stuck"; readonly worker: WorkerRecord }
  | { readonly kind: "late"; readonly worker: WorkerRecord };

export class Scheduler {
  readonly workers: WorkerRecord[] = [];
  readonly #starting = new Set<WorkerRecord>();
  readonly #idle = new Set<WorkerRecord>();
  readonly #open = new Set<WorkerRecord>();
  readonly #full = new Set<WorkerRecord>();
  readonly #overdue = new Set<WorkerRecord>();
  readonly #retiring = new Set<WorkerRecord>();
  readonly #gone = new Set<WorkerRecord>();

  readonly #queue = new TaskQueue(this.workers);
  /** Idle workers that a task waits for which no other may take. */
  readonly #pinnedIdle = new Set<WorkerRecord>();
  readonly #firstIdle = new FirstOfSet(this.#idle);
  readonly #firstOpen = new FirstOfSet(this.#open);
  readonly #firstCalled = new FirstOfSet(this.#pinnedIdle);
  /** How often a function turned out to be long after all. */
  #priceEpoch = 0;
  /**
   * For each worker, at which of those counts the costs of what it has in flight were looked up;
   * the complement of that for one out of sight: a single comparison finds whether it may be sent
   * more without further questions.
   */
  readonly #pricedEpoch: number[] = [];
  readonly #deadlines = new Deadlines(this.#gone);

  /** Tasks that wait for a worker. */
  get queued(): number {
    return this.#queue.size;
  }

  /** How many workers were added, and do not serve yet. */
  get starting(): number {
    return this.#starting.size;
  }

  /** Whether a worker has nothing to do. */
  get hasIdle(): boolean {
    return this.#idle.size > 0;
  }

  /** How many workers have nothing to do. */
  get idle(): number {
    return this.#idle.size;
  }

  /** Whether a worker has nothing to do, and another may hold what it has not begun. */
  get mayHelp(): boolean {
    return this.#idle.size > 0 && this.#idle.size < this.workers.length;
  }

  /**
   * Changes when a function turns out to be long: those who hold calls of it hold more than was
   * thought.
   */
  get priceEpoch(): number {
    return this.#priceEpoch;
  }

  /** The worker that the next task would be sent to, if it is idle. */
  get firstIdle(): WorkerRecord | undefined {
    return this.#firstIdle.peek();
  }

  /** Whether a worker could be sent more than it has. */
  get hasRoom(): boolean {
    return this.#idle.size + this.#open.size > 0;
  }

  /** The earliest time at which `due` may have something to say; Infinity for never. */
  get nextDeadline(): number {
    return this.#deadlines.next;
  }

  /** Adds a worker that takes nothing before `ready` is said of it. */
  add(): WorkerRecord {
    const worker = new WorkerRecord(this.workers.length, this.#starting);
    this.#starting.add(worker);
    this.workers.push(worker);
    return worker;
  }

  /**
   * Puts a starting worker in the place of one that is gone: same index, same pinned tasks. It is
   * late if it does not serve by `lateAt`.
   */
  replace(gone: WorkerRecord, lateAt = Infinity): WorkerRecord {
    const worker = new WorkerRecord(gone.index, this.#starting);
    this.#starting.add(worker);
    this.workers[gone.index] = worker;
    for (const task of gone.pinned.splice(0)) worker.pinned.push(task);
    this.#gone.delete(gone);
    this.#deadlines.setForWorker(worker, lateAt);
    return worker;
  }

  ready(worker: WorkerRecord): void {
    if (worker.set !== this.#starting) return;
    worker.stuckAt = Infinity;
    this.#reprice(worker);
    this.#move(worker, this.#idle);
  }

  /** Bounds how many tasks a worker may be sent before it is to be replaced. */
  allow(worker: WorkerRecord, tasks: number): void {
    worker.quota = tasks;
  }

  /** A worker that serves is to be replaced, once it has answered what it was sent. */
  spend(worker: WorkerRecord): void {
    if (worker.set === this.#starting || worker.set === this.#gone) return;
    worker.quota = -Infinity; // what is taken back is no reason to send it more
    this.#settleInto(worker);
  }

  /**
   * True, once, if a worker is spent and has answered all it was sent: it can be let go. It is
   * taken for stuck if it is not lost or replaced soon.
   */
  retire(worker: WorkerRecord, now: number): boolean {
    if (worker.set !== this.#retiring || worker.inFlight.length > 0) return false;
    if (worker.stuckAt !== Infinity) return false;
    this.#deadlines.setForWorker(worker, now + STUCK_MS);
    return true;
  }

  /** Whether a worker is to be replaced. */
  isRetiring(worker: WorkerRecord): boolean {
    return worker.set === this.#retiring;
  }

  stateOf(worker: WorkerRecord): "starting" | "idle" | "busy" | "overdue" | "gone" {
    if (worker.set === this.#starting) return "starting";
    if (worker.set === this.#idle) return "idle";
    // One that is held by a task that is still wanted is simply busy with that.
    if (worker.set === this.#overdue) return isHeld(worker) ? "busy" : "overdue";
    if (worker.set === this.#retiring && worker.inFlight.length === 0) return "starting";
    return worker.set === this.#gone ? "gone" : "busy";
  }

  submit(task: Task): void {
    this.#queue.push(task);
  }

  /** Queues a task whose worker was lost while running it, in its old place. */
  submitAgain(task: Task): void {
    task.state = "queued";
    task.record = null;
    task.deadline = Infinity;
    this.#queue.pushAgain(task);
  }

  /** Queues a task for one worker: before everything that any worker could take. */
  submitTo(worker: WorkerRecord, task: Task): void {
    this.#queue.pushFor(worker, task);
    if (worker.set === this.#idle) this.#pinnedIdle.add(worker);
    else if (worker.set === this.#open) this.#move(worker, this.#full);
  }

  /**
   * The next task to send, its `record` set; null when there is none, or nobody to take it.
   * The most urgent task waits for an idle worker if it must, and nothing overtakes it.
   */
  next(now: number): Task | null {
    const called = this.#firstCalled.peek();
    if (called !== undefined) return this.#start(called, this.#queue.takeFor(called), now);
    const task = this.#queue.peek();
    if (task === undefined) return null;
    const worker =
      this.#firstIdle.peek() ?? (mayWaitBehind(task) ? this.#openWorker(task) : undefined);
    if (worker === undefined) return null;
    this.#queue.pop();
    return this.#start(worker, task, now);
  }

  /** A task that `next` has returned cannot be sent: its worker has never heard of it. */
  withdraw(task: Task): void {
    const worker = task.record!;
    const index = worker.inFlight.findIndex((other) => other === task);
    worker.inFlight.remove(index);
    worker.costs.remove(index);
    worker.load = sum(worker.costs);
    worker.quota++;
    task.record = null;
    task.state = "failed";
    this.#settleInto(worker);
  }

  /** A worker has said that it began a task: its time counts from here. */
  started(worker: WorkerRecord, id: number, now: number): void {
    const task = worker.inFlight.find((task) => task.id === id);
    if (task === undefined || task.state !== "running" || task.options.timeout === Infinity) return;
    worker.stage = "begun";
    this.#deadlines.setFor(task, worker, now + task.options.timeout + VERDICT_MS);
  }

  /** A worker has said that a task has ended in time: its answer follows, and may be large. */
  finished(worker: WorkerRecord, id: number, now: number): void {
    const task = worker.inFlight.find((task) => task.id === id);
    if (task === undefined || task.state !== "running" || task.options.timeout === Infinity) return;
    worker.stage = "returned";
    this.#deadlines.setFor(task, worker, now + START_MS);
  }

  /**
   * A worker has answered, after `elapsed` µs. The task, for the caller to settle; null when it
   * was settled before (timed out, or cancelled), or the worker was never sent any such task.
   */
  answered(worker: WorkerRecord, id: number, elapsed: number, now: number): Task | null {
    const { inFlight } = worker;
    const index = inFlight.at(0)?.id === id ? 0 : inFlight.findIndex((task) => task.id === id);
    if (index < 0) return null;
    const task = inFlight.remove(index);
    const cost = worker.costs.remove(index);
    // Sums of fractions drift, and Infinity minus Infinity is no number: summed anew where it is
    // cheap.
    if (inFlight.length < 2 || cost > IN_FLIGHT_US) worker.load = sum(worker.costs);
    else worker.load -= cost;
    // A call that was given up was not finished early: it says only that such calls may be longer.
    if (!task.settled || elapsed > task.fn.expected) this.#observe(task.fn, elapsed);
    worker.stuckAt = Infinity;
    if (inFlight.at(0)?.settled) this.#markOverdue(worker, now);
    this.#settleInto(worker);
    return this.#release(task);
  }

  /**
   * The caller settles a task before its worker did: it was "dropped" from the queue, or runs on
   * and its worker is to "interrupt" it; or it was "settled" before, and nothing is changed.
   */
  cancel(task: Task, now: number): "dropped" | "interrupt" | "settled" {
    if (task.state === "queued") {
      task.state = "cancelled";
      const worker = this.#queue.drop(task);
      if (worker?.pinned.length === 0) {
        this.#pinnedIdle.delete(worker);
        if (worker.set === this.#full) this.#settleInto(worker);
      }
      return "dropped";
    }
    if (task.state !== "running") return "settled";
    task.state = "cancelled";
    if (task.record!.inFlight.at(0) === task) this.#markOverdue(task.record!, now);
    return "interrupt";
  }

  /**
   * Tasks whose time is over, and workers that stay stuck. Each is returned once. A worker that
   * `moves` what is on its way to it or from it has more time for that.
   */
  due(now: number, moves: (worker: WorkerRecord) => boolean = () => false): Verdict[] {
    const verdicts: Verdict[] = [];
    for (;;) {
      const deadline = this.#deadlines.take(now);
      if (deadline === undefined) return verdicts;
      const { worker } = deadline;
      if (deadline.order === null) {
        const isLate = worker.set === this.#starting;
        if (!isLate && moves(worker)) {
          this.#deadlines.setForWorker(worker, now + STUCK_MS);
          continue;
        }
        worker.stuckAt = Infinity;
        verdicts.push({ kind: isLate ? "late" : "stuck", worker });
        continue;
      }
      const task = taskOf(deadline)!;
      const { stage } = worker;
      if (stage !== "begun" && moves(worker)) {
        this.#deadlines.setFor(task, worker, now + START_MS);
        continue;
      }
      task.state = "failed";
      this.#markOverdue(worker, now);
      verdicts.push({ kind: "expired", task, worker, stage });
    }
  }

  /**
   * A worker is gone. What it had not begun is queued again, in its old place. What it ran, and
   * those before it whose answers are lost with it, is returned, without what was settled before:
   * it is the caller's to settle. `begun` is the number of the last task it had begun, 0 if it had
   * begun none; where that is not known it is undefined, and the first in flight is taken for the
   * one it ran.
   */
  lose(worker: WorkerRecord, begun?: number): Task[] {
    if (worker.set === this.#gone) return [];
    this.#move(worker, this.#gone);
    worker.recalled = false;
    const inFlight = worker.inFlight.takeAll();
    worker.costs.takeAll();
    worker.load = 0;
    const last = begun === undefined ? 0 : inFlight.findIndex((task) => task.id === begun);
    const lost: Task[] = [];
    inFlight.forEach((task, i) => {
      if (task.state !== "running") return;
      if (i > last) return this.submitAgain(task);
      task.state = "failed";
      lost.push(task);
    });
    return lost;
  }

  /**
   * A worker with something in flight is told to begin nothing more: it is sent nothing until it
   * has said that it knows (`resume`).
   */
  recall(worker: WorkerRecord): void {
    worker.recalled = true;
    this.#move(worker, this.#overdue);
  }

  /**
   * µs of work that a worker holds behind its first calls, as many as it has `begun`, and that
   * another could do; 0 for none.
   */
  heldBy({ inFlight }: WorkerRecord, begun: number): number {
    let us = 0;
    for (let i = begun; i < inFlight.length; i++) {
      const task = inFlight.at(i)!;
      if (task.state === "running" && !this.#queue.isPinned(task)) us += costOf(task);
    }
    return us;
  }

  /**
   * Of what a recalled worker was sent it is certain that it begins nothing behind `begun` (the
   * number of a task, which takes `elapsed` µs at least; 0 for none): that is queued again, in the
   * old places. What lies before `begun` is done, and its answers are on their way.
   */
  reclaim(worker: WorkerRecord, begun: number, elapsed: number): void {
    const inFlight = worker.inFlight.takeAll();
    worker.costs.takeAll();
    const kept = inFlight.splice(0, 1 + inFlight.findIndex(({ id }) => id === begun));
    const last = kept.at(-1);
    if (last === undefined) worker.stuckAt = Infinity;
    else if (!last.settled) this.#observe(last.fn, elapsed);
    for (const task of kept) {
      worker.inFlight.push(task);
      worker.costs.push(costOf(task));
    }
    worker.load = sum(worker.costs);
    for (const task of inFlight) {
      worker.quota++;
      if (task.state === "running") this.submitAgain(task);
    }
  }

  /** A worker knows that it was recalled, and has dropped what it had not begun. */
  resume(worker: WorkerRecord): void {
    if (!worker.recalled) return;
    worker.recalled = false;
    this.#settleInto(worker);
  }

  /** Takes every task that is not settled, queued and running, marking each cancelled. */
  drain(): Task[] {
    const tasks = this.drainQueue();
    for (const worker of this.workers) {
      for (const task of worker.inFlight) {
        if (task.state !== "running") continue;
        task.state = "cancelled";
        tasks.push(task);
      }
    }
    return tasks;
  }

  /** Takes every task that waits for a worker, marking each cancelled. */
  drainQueue(): Task[] {
    const tasks = this.#queue.takeAll();
    for (const worker of this.workers) if (worker.set === this.#full) this.#settleInto(worker);
    for (const task of tasks) task.state = "cancelled";
    this.#pinnedIdle.clear();
    return tasks;
  }

  /** A worker that may be sent this behind what it has. */
  #openWorker(task: Task): WorkerRecord | undefined {
    for (;;) {
      const worker = this.#firstOpen.peek();
      if (worker === undefined || this.#pricedEpoch[worker.index] === this.#priceEpoch)
        return worker;
      if (this.#pricedEpoch[worker.index] !== ~this.#priceEpoch) {
        this.#settleInto(worker);
      } else if (mayGoAhead(task, worker)) {
        // Each in turn, so that calls that turn out to be long are spread.
        this.#firstOpen.pass();
        return worker;
      } else {
        // Until it has answered something.
        this.#move(worker, this.#full);
      }
    }
  }

  #start(worker: WorkerRecord, task: Task, now: number): Task {
    task.state = "running";
    task.record = worker;
    const cost = costOf(task);
    worker.quota--;
    worker.inFlight.push(task);
    worker.costs.push(cost);
    worker.load += cost;
    if (!task.isPlain && task.options.timeout !== Infinity) {
      worker.stage = "sent";
      const startMs = START_MS + bytesOf(task.payload) / BYTES_PER_MS;
      this.#deadlines.setFor(task, worker, now + task.options.timeout + startMs);
    }
    this.#settleInto(worker);
    return task;
  }

  /** Marks what `answered` found; the caller settles it, unless that was done. */
  #release(task: Task): Task | null {
    if (task.state !== "running") return null;
    task.state = "done";
    return task;
  }

  /**
   * From now on the worker is overdue, if what it runs was settled without it. A settled call that
   * lies behind another one is left alone until its turn: the one before it is not to blame.
   */
  #markOverdue(worker: WorkerRecord, now: number): void {
    if (worker.set === this.#gone || !worker.inFlight.at(0)?.settled) return;
    if (worker.set !== this.#overdue) this.#move(worker, this.#overdue);
    this.#deadlines.setForWorker(worker, now + STUCK_MS);
  }

  #settleInto(worker: WorkerRecord): void {
    if (worker.set === this.#overdue && isOwing(worker)) return;
    if (worker.quota <= 0) return this.#move(worker, this.#retiring);
    const pricedAt = this.#pricedEpoch[worker.index];
    if (pricedAt !== this.#priceEpoch && pricedAt !== ~this.#priceEpoch) this.#reprice(worker);
    // One that was full is filled again when half of it is done: that makes for fewer, longer
    // messages.
    const roomBelow = worker.set === this.#full ? IN_FLIGHT_US / 2 : IN_FLIGHT_US;
    if (worker.inFlight.length === 0) this.#move(worker, this.#idle);
    else if (worker.load < roomBelow && worker.pinned.length === 0) {
      this.#move(worker, this.#open);
    } else this.#move(worker, this.#full);
  }

  /** What is in flight costs what such calls are known to take by now. */
  #reprice(worker: WorkerRecord): void {
    this.#pricedEpoch[worker.index] = worker.isSeen ? this.#priceEpoch : ~this.#priceEpoch;
    for (let i = 0; i < worker.inFlight.length; i++) {
      worker.costs.set(i, costOf(worker.inFlight.at(i)!));
    }
    worker.load = sum(worker.costs);
  }

  #observe(fn: KnownFunction, elapsed: number): void {
    // Whoever has such calls in flight is not to be sent more behind them.
    if (observe(fn, elapsed)) this.#priceEpoch++;
  }

  #move(worker: WorkerRecord, to: Set<WorkerRecord>): void {
    if (worker.set === to) return;
    if (worker.set === this.#idle) this.#pinnedIdle.delete(worker);
    else if (to === this.#idle && worker.pinned.length > 0) this.#pinnedIdle.add(worker);
    worker.set.delete(worker);
    to.add(worker);
    worker.set = to;
  }
}

/** Whether it has to answer before it is sent anything. */
function isOwing({ inFlight, recalled }: WorkerRecord): boolean {
  return recalled || (inFlight.at(0)?.settled ?? false);
}

/** Whether what it runs is still wanted. */
function isHeld({ inFlight }: WorkerRecord): boolean {
  return inFlight.length > 0 && !inFlight.at(0)!.settled;
}
