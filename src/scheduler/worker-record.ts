import { Fifo } from "../collections/fifo.ts";
import { loadOf, IN_FLIGHT_US, sum } from "./costs.ts";
import { Task } from "./task.ts";

/**
 * The timeout of a call counts only while it is `begun`: its arguments may take their time to
 * arrive, and so may its result.
 */
export type WorkerStage = "sent" | "begun" | "returned";

/** A worker as the scheduler sees it. */
export class WorkerRecord {
  readonly index: number;
  /** Sent and not answered, in the order of sending; see `running`. */
  readonly inFlight = new Fifo<Task>();
  /** Tasks for this worker and no other. */
  readonly pinned: Task[] = [];
  /** µs that each of `inFlight` was expected to take when it was sent, and their sum. */
  readonly costs = new Fifo<number>();
  load = 0;
  set: Set<WorkerRecord>;
  /** When to replace it unless it has answered; Infinity when it owes nothing overdue. */
  stuckAt = Infinity;
  /** How many tasks it may still be sent. */
  quota = Infinity;
  /** How far it has come with a call that has a timeout, as it has reported. */
  stage: WorkerStage = "sent";
  /**
   * Its reports can be seen, so that unbegun calls can be reclaimed while a call holds its thread.
   * Known before it serves.
   */
  isSeen = true;
  /** Its unbegun calls were recalled, and it has not acknowledged that yet. */
  recalled = false;

  constructor(index: number, set: Set<WorkerRecord>) {
    this.index = index;
    this.set = set;
  }

  /** The task that it runs, as far as is known without its reports: the first in flight. */
  get running(): Task | undefined {
    return this.inFlight.at(0);
  }

  /** Whether the task that it runs is still wanted. */
  get runsWanted(): boolean {
    return this.running?.settled === false;
  }

  /** Whether it has to answer before it is sent more. */
  get isOwing(): boolean {
    return this.recalled || (this.running?.settled ?? false);
  }

  /** Where a task is among those in flight; -1 where it is not. */
  indexOf(id: number): number {
    if (this.running?.id === id) return 0;
    return this.inFlight.findIndex((task) => task.offsetOf(id) >= 0);
  }

  /** A task is sent to it. */
  push(task: Task): void {
    const cost = loadOf(task);
    this.quota -= task.count;
    this.inFlight.push(task);
    this.costs.push(cost);
    this.load += cost;
  }

  /** It has answered the task at that place. */
  removeAt(index: number): Task {
    const task = this.inFlight.remove(index);
    const cost = this.costs.remove(index);
    // Sums of fractions drift, and Infinity minus Infinity is no number: summed anew where it is
    // cheap.
    if (this.inFlight.length < 2 || cost > IN_FLIGHT_US) this.load = sum(this.costs);
    else this.load -= cost;
    return task;
  }

  /** Takes all that is in flight. */
  takeAll(): Task[] {
    this.costs.takeAll();
    this.load = 0;
    return this.inFlight.takeAll();
  }

  /** Puts back what `takeAll` has taken, at the costs that are known by now. */
  keep(tasks: readonly Task[]): void {
    for (const task of tasks) {
      this.inFlight.push(task);
      this.costs.push(loadOf(task));
    }
    this.load = sum(this.costs);
  }

  /** Looks up the costs of the tasks in flight anew. */
  reprice(): void {
    for (let i = 0; i < this.inFlight.length; i++) this.costs.set(i, loadOf(this.inFlight.at(i)!));
    this.load = sum(this.costs);
  }
}
