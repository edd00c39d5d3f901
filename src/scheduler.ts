import { Heap } from "./heap.ts";
import { ReadyQueue } from "./ready.ts";
import { type Task, WorkerRecord } from "./task.ts";

/**
 * Who runs what, and when. Pure: the time is an argument, what is to be done is returned, and
 * nothing here knows of processes, links or promises. Times are ms of `performance.now()`,
 * lengths of tasks are µs.
 *
 * A worker is in exactly one set at a time, and `#move` alone changes that:
 *
 *   starting ──ready──▶ idle ◀──▶ open ◀──▶ full        takes tasks: idle, open
 *                         └────────┴──────────┴──overdue──▶ overdue ──answers──▶ idle
 *   any ──lose──▶ gone
 *
 * `idle` has nothing in flight; `open` has, but only calls known to be short, and may be sent
 * more behind them; `full` may not; `overdue` still runs something that was already settled
 * (timed out, or cancelled) and is sent nothing until it answers.
 */

/**
 * µs of work that may be in flight to a worker besides what an idle one gets at once. It has to cover
 * the way of an answer and of the next message (some µs), and bounds by how much an urgent task
 * may have to wait behind less urgent ones.
 */
const IN_FLIGHT_US = 50;

/** The least that one call is taken to last, since sending and answering it takes that too. */
const SHORTEST_US = 0.5;

/** ms between a task's deadline on the worker and the controller's own verdict. */
export const VERDICT_MS = 25;

/** ms that a worker may take from receiving a task to starting it: its module may have to be loaded. */
export const START_MS = 10_000;

/** ms that a local worker may go on with a settled task before it is replaced. */
export const STUCK_MS = 1_000;

/** What `due` says is to be done. */
export type Verdict =
  | { readonly kind: "expired"; readonly task: Task; readonly worker: WorkerRecord }
  | { readonly kind: "stuck"; readonly worker: WorkerRecord };

/** What was in flight to a worker that is gone. */
export interface Loss {
  /** The task it was running, unless that was settled before. */
  readonly running: Task | null;
  /** Those it had not started: they are queued again, in their old places. */
  readonly requeued: number;
}

interface Deadline {
  readonly task: Task | null;
  readonly worker: WorkerRecord;
}

export class Scheduler {
  readonly workers: WorkerRecord[] = [];
  readonly #starting = new Set<WorkerRecord>();
  readonly #idle = new Set<WorkerRecord>();
  readonly #open = new Set<WorkerRecord>();
  readonly #full = new Set<WorkerRecord>();
  readonly #overdue = new Set<WorkerRecord>();
  readonly #gone = new Set<WorkerRecord>();

  readonly #ready = new ReadyQueue<Task>();
  /** Tasks in `#ready` that were cancelled there: skipped when they come up. */
  #dropped = 0;
  #pinned = 0;
  #running = 0;
  readonly #deadlines = new Heap<Deadline>();
  #deadlineCount = 0;

  /** Tasks that wait for a worker. */
  get queued(): number {
    return this.#ready.size - this.#dropped + this.#pinned;
  }

  /** Tasks that were sent to a worker and are not settled. */
  get running(): number {
    return this.#running;
  }

  /** Whether a worker has nothing to do. */
  get hasIdle(): boolean {
    return this.#idle.size > 0;
  }

  /** Whether a worker could be sent more than it has. */
  get hasRoom(): boolean {
    return this.#idle.size + this.#open.size > 0;
  }

  /** The earliest time at which `due` may have something to say; Infinity for never. */
  get nextDeadline(): number {
    return this.#deadlines.peekKey();
  }

  /** Adds a worker that takes nothing before `ready` is said of it. */
  add(): WorkerRecord {
    const worker = new WorkerRecord(this.workers.length, this.#starting);
    this.#starting.add(worker);
    this.workers.push(worker);
    return worker;
  }

  /** Puts a starting worker in the place of one that is gone: same index, same pinned tasks. */
  replace(gone: WorkerRecord): WorkerRecord {
    const worker = new WorkerRecord(gone.index, this.#starting);
    this.#starting.add(worker);
    this.workers[gone.index] = worker;
    worker.pinned.push(...gone.pinned.splice(0));
    return worker;
  }

  ready(worker: WorkerRecord): void {
    if (worker.set === this.#starting) this.#move(worker, this.#idle);
  }

  stateOf(worker: WorkerRecord): "starting" | "idle" | "busy" | "overdue" | "gone" {
    if (worker.set === this.#starting) return "starting";
    if (worker.set === this.#idle) return "idle";
    if (worker.set === this.#overdue) return "overdue";
    return worker.set === this.#gone ? "gone" : "busy";
  }

  submit(task: Task): void {
    this.#ready.push(task);
  }

  /** Queues a task for one worker: before everything that any worker could take. */
  submitTo(worker: WorkerRecord, task: Task): void {
    worker.pinned.push(task);
    this.#pinned++;
  }

  /**
   * The next task to send, its `worker` set; null when there is none, or nobody to take it.
   * The most urgent task waits for an idle worker if it must, and nothing overtakes it.
   */
  next(now: number): Task | null {
    if (this.#pinned > 0) {
      const task = this.#nextPinned();
      if (task !== null) return this.#start(task.worker!, task, now);
    }
    const task = this.#peekReady();
    if (task === undefined) return null;
    const worker = first(this.#idle) ?? (mayWaitBehind(task) ? first(this.#open) : undefined);
    if (worker === undefined) return null;
    this.#ready.pop();
    return this.#start(worker, task, now);
  }

  /** A worker has said that it began a task: its time counts from here. */
  started(worker: WorkerRecord, id: number, now: number): void {
    const task = worker.inFlight.find((task) => task.id === id);
    if (task === undefined || task.state !== "running" || task.options.timeout === Infinity) return;
    this.#expireAt(task, worker, now + task.options.timeout + VERDICT_MS);
  }

  /**
   * A worker has answered, after `elapsed` µs. The task, for the caller to settle; null when it
   * was settled before (timed out, or cancelled), or the worker was never sent any such task.
   */
  answered(worker: WorkerRecord, id: number, elapsed: number, now: number): Task | null {
    const { inFlight } = worker;
    const index = inFlight[0]?.id === id ? 0 : inFlight.findIndex((task) => task.id === id);
    if (index < 0) return null;
    const task = inFlight.splice(index, 1)[0]!;
    const cost = worker.costs.splice(index, 1)[0]!;
    // Infinity minus Infinity is no number: a call of unknown length is alone, or the last one sent.
    worker.load = cost === Infinity ? sum(worker.costs) : worker.load - cost;
    observe(task, elapsed);
    worker.stuckAt = Infinity;
    if (inFlight[0]?.settled) this.#await(worker, now);
    this.#place(worker);
    return this.#release(task);
  }

  /**
   * The caller settles a task before its worker did: it was "dropped" from the queue, or runs on and
   * its worker is to "interrupt" it; or it was "settled" before, and nothing is changed.
   */
  cancel(task: Task, now: number): "dropped" | "interrupt" | "settled" {
    if (task.state === "queued") {
      if (this.#pinned > 0 && this.#unpin(task)) this.#pinned--;
      else this.#dropped++;
      task.state = "cancelled";
      this.#sweep();
      return "dropped";
    }
    if (task.state !== "running") return "settled";
    task.state = "cancelled";
    this.#running--;
    this.#await(task.worker!, now);
    return "interrupt";
  }

  /** Tasks whose time is over, and workers that stay stuck. Each is returned once. */
  due(now: number): Verdict[] {
    const verdicts: Verdict[] = [];
    while (this.#deadlines.peekKey() <= now) {
      const time = this.#deadlines.peekKey();
      const { task, worker } = this.#deadlines.pop()!;
      if (task === null) {
        if (worker.set === this.#overdue && worker.stuckAt === time) {
          verdicts.push({ kind: "stuck", worker });
        }
      } else if (task.state === "running" && task.deadline === time) {
        task.state = "failed";
        this.#running--;
        this.#await(worker, now);
        verdicts.push({ kind: "expired", task, worker });
      }
    }
    return verdicts;
  }

  /** A worker is gone. What it ran is the caller's to settle; what it had not begun is queued again. */
  lose(worker: WorkerRecord): Loss {
    if (worker.set === this.#gone) return { running: null, requeued: 0 };
    this.#move(worker, this.#gone);
    const [head, ...behind] = worker.inFlight.splice(0);
    worker.costs.length = 0;
    worker.load = 0;
    let requeued = 0;
    for (const task of behind) {
      if (task.state !== "running") continue;
      this.#requeue(task);
      requeued++;
    }
    if (head === undefined || head.state !== "running") return { running: null, requeued };
    this.#running--;
    head.state = "failed";
    return { running: head, requeued };
  }

  /** Takes every task that is not settled, queued and running, marking each cancelled. */
  drain(): Task[] {
    const tasks: Task[] = [];
    for (const worker of this.workers) {
      for (const task of worker.inFlight) if (task.state === "running") tasks.push(task);
      tasks.push(...worker.pinned.splice(0));
    }
    for (let task = this.#ready.pop(); task !== undefined; task = this.#ready.pop()) {
      if (task.state === "queued") tasks.push(task);
    }
    for (const task of tasks) task.state = "cancelled";
    this.#dropped = 0;
    this.#pinned = 0;
    this.#running = 0;
    return tasks;
  }

  #peekReady(): Task | undefined {
    for (;;) {
      const task = this.#ready.peek();
      if (task === undefined || task.state === "queued") return task;
      this.#ready.pop();
      this.#dropped--;
    }
  }

  #nextPinned(): Task | null {
    for (const worker of this.#idle) {
      const task = worker.pinned.shift();
      if (task === undefined) continue;
      this.#pinned--;
      task.worker = worker;
      return task;
    }
    return null;
  }

  #unpin(task: Task): boolean {
    for (const { pinned } of this.workers) {
      const index = pinned.indexOf(task);
      if (index < 0) continue;
      pinned.splice(index, 1);
      return true;
    }
    return false;
  }

  #start(worker: WorkerRecord, task: Task, now: number): Task {
    task.state = "running";
    task.worker = worker;
    this.#running++;
    const cost = Math.max(task.fn.expected, SHORTEST_US);
    worker.inFlight.push(task);
    worker.costs.push(cost);
    worker.load += cost;
    if (task.options.timeout !== Infinity) {
      this.#expireAt(task, worker, now + task.options.timeout + START_MS);
    }
    this.#place(worker);
    return task;
  }

  #requeue(task: Task): void {
    this.#running--;
    task.state = "queued";
    task.worker = null;
    task.deadline = Infinity;
    this.#ready.push(task);
  }

  /** Marks what `answered` found; the caller settles it, unless that was done. */
  #release(task: Task): Task | null {
    if (task.state !== "running") return null;
    this.#running--;
    task.state = "done";
    return task;
  }

  #expireAt(task: Task, worker: WorkerRecord, time: number): void {
    task.deadline = time;
    this.#deadlines.push({ task, worker }, time, this.#deadlineCount++);
  }

  /**
   * From now on the worker is overdue, if what it runs was settled without it. A settled call that
   * lies behind another one is left alone until its turn: the one before it is not to blame.
   */
  #await(worker: WorkerRecord, now: number): void {
    if (worker.set === this.#gone || !worker.inFlight[0]?.settled) return;
    if (worker.set !== this.#overdue) this.#move(worker, this.#overdue);
    worker.stuckAt = now + STUCK_MS;
    this.#deadlines.push({ task: null, worker }, worker.stuckAt, this.#deadlineCount++);
  }

  #place(worker: WorkerRecord): void {
    if (worker.set === this.#overdue && worker.stuckAt !== Infinity) return;
    if (worker.inFlight.length === 0) this.#move(worker, this.#idle);
    else if (worker.load < IN_FLIGHT_US) this.#move(worker, this.#open);
    else this.#move(worker, this.#full);
  }

  #move(worker: WorkerRecord, to: Set<WorkerRecord>): void {
    if (worker.set === to) return;
    worker.set.delete(worker);
    to.add(worker);
    worker.set = to;
  }

  #sweep(): void {
    if (this.#dropped < 1024 || this.#dropped * 2 < this.#ready.size) return;
    this.#ready.keep((task) => task.state === "queued");
    this.#dropped = 0;
  }
}

/** Only short calls without conditions of their own are sent to a worker that is not idle yet. */
function mayWaitBehind(task: Task): boolean {
  const { timeout, retries, signal } = task.options;
  return task.fn.expected < IN_FLIGHT_US && timeout === Infinity && retries === 0 && !signal;
}

/** One long call makes a function long at once; it takes several short ones to make it short. */
function observe(task: Task, elapsed: number): void {
  const { fn } = task;
  if (!(elapsed >= 0)) return;
  const weight = fn.expected === Infinity || elapsed > fn.expected ? 1 : 0.125;
  fn.expected = weight === 1 ? elapsed : fn.expected + (elapsed - fn.expected) * weight;
}

function sum(numbers: readonly number[]): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

function first(workers: Set<WorkerRecord>): WorkerRecord | undefined {
  for (const worker of workers) return worker;
  return undefined;
}
