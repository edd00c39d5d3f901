import { IN_FLIGHT_US, mayGoAhead } from "./costs.ts";
import { type KnownFunction, observe } from "./estimates.ts";
import type { Task, WorkerRecord } from "./task.ts";
import type { WorkerSets } from "./worker-sets.ts";

/**
 * In which set a worker belongs by what it has in flight, and so which of those that are not idle
 * takes one more short call behind its others.
 */
export class Placement {
  readonly #sets: WorkerSets;
  /** How often a function turned out to be long after all. */
  #priceEpoch = 0;
  /**
   * For each worker, at which of those counts the costs of what it has in flight were looked up;
   * the complement of that for one out of sight: a single comparison finds whether it may be sent
   * more without further questions.
   */
  readonly #pricedEpoch: number[] = [];

  constructor(sets: WorkerSets) {
    this.#sets = sets;
  }

  /**
   * Changes when a function turns out to be long: workers that hold calls of it hold more than was
   * thought.
   */
  get priceEpoch(): number {
    return this.#priceEpoch;
  }

  /** A call has taken `elapsed` µs. */
  observe(fn: KnownFunction, elapsed: number): void {
    // A worker that has such calls in flight is not to be sent more behind them.
    if (observe(fn, elapsed)) this.#priceEpoch++;
  }

  /** What is in flight costs what such calls are known to take by now. */
  reprice(worker: WorkerRecord): void {
    this.#pricedEpoch[worker.index] = worker.isSeen ? this.#priceEpoch : ~this.#priceEpoch;
    worker.reprice();
  }

  /** Moves a worker into the set where it belongs. */
  settle(worker: WorkerRecord): void {
    const sets = this.#sets;
    if (worker.set === sets.overdue && worker.isOwing) return;
    if (worker.quota <= 0) return sets.move(worker, sets.retiring);
    const pricedAt = this.#pricedEpoch[worker.index];
    if (pricedAt !== this.#priceEpoch && pricedAt !== ~this.#priceEpoch) this.reprice(worker);
    // One that was full is filled again when half of it is done: that makes for fewer, longer
    // messages.
    const roomBelow = worker.set === sets.full ? IN_FLIGHT_US / 2 : IN_FLIGHT_US;
    if (worker.inFlight.length === 0) sets.move(worker, sets.idle);
    else if (worker.load < roomBelow && worker.pinned.length === 0) sets.move(worker, sets.open);
    else sets.move(worker, sets.full);
  }

  /** A worker that may be sent this behind what it has. */
  openWorker(task: Task): WorkerRecord | undefined {
    const sets = this.#sets;
    for (;;) {
      const worker = sets.firstOpen.peek();
      if (worker === undefined || this.#pricedEpoch[worker.index] === this.#priceEpoch)
        return worker;
      if (this.#pricedEpoch[worker.index] !== ~this.#priceEpoch) {
        this.settle(worker);
      } else if (mayGoAhead(task, worker.inFlight.length)) {
        // Each in turn, so that calls that turn out to be long are spread.
        sets.firstOpen.pass();
        return worker;
      } else {
        // Until it has answered something.
        sets.move(worker, sets.full);
      }
    }
  }
}
