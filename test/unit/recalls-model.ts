import { DEFAULT_TASK, Task } from "../../src/scheduler/task.ts";
import type { Connection } from "../../src/controller/connection.ts";
import type { KnownFunction } from "../../src/scheduler/estimates.ts";
import { Heap } from "../../src/collections/heap.ts";
import { Activity } from "../../src/wire/task-id.ts";
import { Recalls } from "../../src/controller/recalls.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import type { ControllerEnd } from "../../src/link/link.ts";
import type { WorkerRecord } from "../../src/scheduler/worker-record.ts";

/** ms that a message takes from one side to the other. */
const WAY_MS = 0.01;

/** What lies on the way to a worker, and in it: tasks, and the counts of recalls. */
type Sent = Task | number;

/** How much of a worker is seen: what it has begun; that by its rank alone; or nothing. */
export type Sight = "seen" | "isolated" | "far";

/** A worker that runs one call at a time, and reports the call that it begins as `link/task-word.ts` has it. */
class ModelledWorker {
  readonly queue: Sent[] = [];
  told: number = Activity.Idle;
  recalls = 0;
  known = 0;
  isBusy = false;
  /** Its thread is held until then by what an earlier task has left. */
  heldUntil = 0;
}

/**
 * A scheduler and its recalls, with workers whose calls take as long as they are told to, in a time of its
 * own: nothing is waited for.
 */
export class Rig {
  readonly scheduler = new Scheduler();
  readonly workers: ModelledWorker[] = [];
  readonly connections: Connection[] = [];
  readonly recalls: Recalls;
  /** How often each task was begun, and where it was last. */
  readonly begun = new Map<Task, number>();
  readonly startedAt = new Map<Task, number>();
  recallCount = 0;
  submitted = 0;
  now = 1000;
  readonly #lengths = new Map<Task, number>();
  readonly #events = new Heap<() => void>();
  #eventCount = 0;
  #order = 1;
  #left = 0;

  constructor(sights: readonly Sight[]) {
    for (const sight of sights) this.#add(sight);
    this.recalls = new Recalls(this.scheduler, this.connections, {
      recall: (connection) => this.#recall(connection),
      takeBack: ({ record, link }) => this.#giveBack(record, link!.currentTask!),
    });
  }

  #add(sight: Sight): void {
    const record = this.scheduler.add();
    const worker = new ModelledWorker();
    const link = {
      get told() {
        return sight === "seen" ? worker.told : undefined;
      },
      reading: sight === "seen" ? 0 : null,
      isSeen: sight !== "far",
      isCaughtUp: true,
    };
    record.isSeen = link.isSeen;
    this.workers.push(worker);
    // All that is looked at here.
    this.connections.push({ record, link: link as unknown as ControllerEnd } as Connection);
    this.scheduler.ready(record);
  }

  /** Submits calls of one function, each of so many ms; they are sent when `run` is asked to. */
  submit(fn: KnownFunction, lengths: readonly number[], pinnedTo?: WorkerRecord): Task[] {
    return lengths.map((ms) => {
      const worker = pinnedTo?.index ?? null;
      const task = new Task(this.#order++, fn, { ...DEFAULT_TASK, worker });
      this.#lengths.set(task, ms);
      this.#left++;
      this.submitted++;
      this.scheduler.submit(task);
      return task;
    });
  }

  /** Until all is done, or so many ms have gone by. The ms that it took. */
  run(ms = Infinity): number {
    const start = this.now;
    this.#dispatch();
    while (this.#left > 0) {
      // Timers ring up to a millisecond late.
      const look = Math.ceil(this.recalls.nextLook);
      const next = Math.min(this.#events.peekKey(), look);
      if (next === Infinity) throw new Error(`nothing happens any more, and ${this.#left} wait`);
      if (next > start + ms) break;
      this.now = Math.max(this.now, next);
      if (look <= this.now) {
        if (this.recalls.due(this.now)) this.#dispatch();
      } else this.#events.pop()!();
    }
    return this.now - start;
  }

  /** The thread of a worker is held for so many ms. */
  hold(index: number, ms: number): void {
    const worker = this.workers[index]!;
    worker.heldUntil = this.now + ms;
    this.#after(ms, () => this.#work(index));
  }

  #after(ms: number, event: () => void): void {
    this.#events.push(event, this.now + ms, this.#eventCount++);
  }

  #dispatch(): void {
    const { scheduler } = this;
    for (let task = scheduler.next(this.now); task !== null; task = scheduler.next(this.now)) {
      this.#send(task.record!.index, task);
    }
    if (scheduler.sets.mayHelp) this.recalls.watch(this.now);
  }

  #send(index: number, what: Sent): void {
    this.#after(WAY_MS, () => {
      this.workers[index]!.queue.push(what);
      this.#work(index);
    });
  }

  #work(index: number): void {
    const worker = this.workers[index]!;
    while (!worker.isBusy && this.now >= worker.heldUntil) {
      const next = worker.queue.shift();
      if (next === undefined) return;
      if (typeof next === "number") this.#resume(index, next);
      else if (worker.recalls === worker.known) this.#begin(index, next);
    }
  }

  #begin(index: number, task: Task): void {
    const worker = this.workers[index]!;
    const { record } = this.connections[index]!;
    worker.told = task.id;
    worker.isBusy = true;
    this.begun.set(task, (this.begun.get(task) ?? 0) + 1);
    this.startedAt.set(task, this.now);
    const ms = this.#lengths.get(task)!;
    this.#after(ms, () => {
      worker.isBusy = false;
      if (worker.queue.length === 0) worker.told = Activity.Idle;
      this.#after(WAY_MS, () => {
        if (this.scheduler.answered(record, task.id, ms * 1000, this.now) !== null) this.#left--;
        this.#dispatch();
      });
      this.#work(index);
    });
  }

  #resume(index: number, recall: number): void {
    const worker = this.workers[index]!;
    const { record } = this.connections[index]!;
    worker.known = recall;
    this.#after(WAY_MS, () => {
      if (record.recalled) this.#giveBack(record, Activity.Idle);
      this.scheduler.acknowledged(record);
      this.#dispatch();
    });
  }

  #recall({ record, link }: Connection): void {
    const { index } = record;
    const worker = this.workers[index]!;
    this.recallCount++;
    this.scheduler.recall(record);
    const recall = worker.recalls + 1;
    // Its own memory tells it, or that of its rank; from afar only the message does.
    if (link!.isSeen) worker.recalls = recall;
    else this.#after(WAY_MS, () => (worker.recalls = Math.max(worker.recalls, worker.known)));
    this.#send(index, recall);
    if (link!.isSeen && link!.currentTask === undefined) {
      this.#after(1 + 2 * WAY_MS, () => {
        if (!record.recalled || worker.recalls !== recall) return;
        this.#giveBack(record, worker.told);
        this.#dispatch();
      });
    }
  }

  #giveBack(record: WorkerRecord, at: number): boolean {
    const { inFlight } = record;
    if (inFlight.findIndex(({ id }) => id === at) < 0) this.recalls.wasFruitless([...inFlight]);
    this.scheduler.requeue.reclaim(record, at, this.recalls.heldFor(record, this.now));
    return true;
  }
}

/** ms that greedy scheduling takes: whoever is free first takes the next call. */
export function greedily(lengths: readonly number[], workers: number): number {
  const freeAt = new Array<number>(workers).fill(0);
  for (const ms of lengths) {
    const first = freeAt.indexOf(Math.min(...freeAt));
    freeAt[first]! += ms + 2 * WAY_MS;
  }
  return Math.max(...freeAt);
}
