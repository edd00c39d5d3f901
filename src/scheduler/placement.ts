import { areSiblings, isChildOf } from "./child-task.ts";
import { IN_FLIGHT_US, mayGoAhead } from "./costs.ts";
import type { Task } from "./task.ts";
import type { WorkerSets } from "./worker-sets.ts";
import type { WorkerRecord } from "./worker-record.ts";

/**
 * Decides in which set a worker belongs, by its tasks in flight, and so which busy worker takes one
 * more short call behind its others.
 */
export class Placement {
  readonly #sets: WorkerSets;
  /** How often a function turned out to be long after all. */
  #priceEpoch = 0;
  /**
   * For each worker, the epoch at which the costs of its tasks in flight were looked up; its
   * complement for a worker whose reports are not seen: a single comparison finds whether it may be
   * sent more without further checks.
   */
  readonly #pricedEpoch: number[] = [];

  constructor(sets: WorkerSets) {
    this.#sets = sets;
  }

  /**
   * Changes when a function turns out to be long: workers that hold calls of it hold more work than
   * was thought.
   */
  get priceEpoch(): number {
    return this.#priceEpoch;
  }

  /** A function has turned out to be long: a worker with its calls in flight is sent no more. */
  onLong(): void {
    this.#priceEpoch++;
  }

  /** Looks up the costs of a worker's tasks in flight anew. */
  reprice(worker: WorkerRecord): void {
    this.#pricedEpoch[worker.index] = worker.isSeen ? this.#priceEpoch : ~this.#priceEpoch;
    worker.reprice();
  }

  /** Moves a worker into the set where it belongs. */
  settle(worker: WorkerRecord): void {
    const sets = this.#sets;
    if (worker.set === sets.overdue && worker.isOwing) return;
    // Tasks that wait there for their children keep it: those may have no other worker.
    if (worker.quota <= 0 && !worker.hasSuspended) return sets.move(worker, sets.retiring);
    if (this.#isStale(worker)) this.reprice(worker);
    // A full worker is filled again when half is done: that makes for fewer, longer messages.
    const roomBelow = worker.set === sets.full ? IN_FLIGHT_US / 2 : IN_FLIGHT_US;
    if (worker.inFlight.length === 0) sets.move(worker, sets.idle);
    else if (worker.inFlight.length < sets.concurrency) sets.move(worker, sets.spare);
    else if (worker.load < roomBelow) sets.move(worker, sets.open);
    else sets.move(worker, sets.full);
  }

  /** Whether an open worker still is one, at the costs that are known by now. */
  hasRoom(worker: WorkerRecord): boolean {
    if (this.#isStale(worker)) this.settle(worker);
    return worker.set === this.#sets.open;
  }

  /** Whether the costs of a worker's tasks in flight have to be looked up anew. */
  #isStale({ index }: WorkerRecord): boolean {
    const pricedAt = this.#pricedEpoch[index];
    return pricedAt !== this.#priceEpoch && pricedAt !== ~this.#priceEpoch;
  }

  /** A worker that may be sent `task` behind its others. */
  openWorker(task: Task): WorkerRecord | undefined {
    const sets = this.#sets;
    for (;;) {
      const worker = sets.firstOpen.peek();
      if (worker?.hasParents && !mayFollow(task, worker)) {
        // Until it has answered: a task that waits there may go on by then, and comes first, and so
        // do the children that it may submit.
        sets.move(worker, sets.full);
        continue;
      }
      if (worker === undefined || this.#pricedEpoch[worker.index] === this.#priceEpoch)
        return worker;
      if (this.#pricedEpoch[worker.index] !== ~this.#priceEpoch) {
        this.settle(worker);
      } else if (mayGoAhead(task, worker.inFlight.length)) {
        // The workers take turns, so that calls that turn out to be long are spread.
        sets.firstOpen.pass();
        return worker;
      } else {
        // Full until it has answered something.
        sets.move(worker, sets.full);
      }
    }
  }
}

/** Whether a task may wait behind the last in flight to a worker where tasks have children. */
function mayFollow(task: Task, { inFlight: { last } }: WorkerRecord): boolean {
  return last === undefined || areSiblings(task, last) || isChildOf(task, last);
}
