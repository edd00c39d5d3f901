import { performance } from "../os/natives.ts";
import type { Task } from "../scheduler/task.ts";
import { Callbacks } from "./callbacks.ts";
import { Reports } from "./reports.ts";
import { CoarseClock } from "./coarse-clock.ts";
import { Histogram } from "./histogram.ts";
import { Tally } from "./tally.ts";

/**
 * What a pool counts of itself as it goes: always, and so with no more than some ns a call.
 * Controller, receiver and supervisor tell it of each step; `stats.ts` makes of it what users see.
 * It counts calls: of a chunk of a map each item.
 */
export class Watch {
  /** ms from when a call was queued to when it began, and ms that its function ran. */
  readonly wait = new Histogram();
  readonly run = new Histogram();
  /** By the indices of workers. */
  readonly tallies: Tally[] = [];
  /** Attempts that were followed by another. */
  retried = 0;
  /** Workers that have ended while the pool needed them. */
  workersLost = 0;
  /** Tasks that have begun, and wait for tasks of their own; they count as unsettled. */
  suspended = 0;
  cancelled = 0;
  /** How many calls a worker may have under way. */
  concurrency = 1;
  /** Calls to the program's listeners. */
  readonly callbacks = new Callbacks();
  readonly reports = new Reports(this.callbacks);
  readonly #clock = new CoarseClock();
  #submitted = 0;
  /** Failures of tasks that no worker was sent. */
  #unsent = 0;
  #openedAt = Infinity;
  #closedAt = Infinity;

  /** The pool is open. */
  open(): void {
    this.#openedAt = performance.now();
  }

  /** It is over: its numbers stay. */
  close(): void {
    this.#closedAt = performance.now();
  }

  /** ms since it was opened, until it was over; 0 before. */
  get uptime(): number {
    return Math.max(0, Math.min(performance.now(), this.#closedAt) - this.#openedAt);
  }

  get done(): number {
    return this.tallies.reduce((sum, { done }) => sum + done, 0);
  }

  get failed(): number {
    return this.tallies.reduce((sum, { failed }) => sum + failed, this.#unsent);
  }

  /** Calls that were submitted, and are not settled. */
  get unsettled(): number {
    return this.#submitted - this.done - this.failed - this.cancelled;
  }

  /** What is counted of the worker at that index. */
  tallyOf(index: number): Tally {
    return (this.tallies[index] ??= new Tally(this.wait, this.run));
  }

  /**
   * A task is queued. Returns the time where it is needed, as `isExact` says; else null: to read
   * the clock for each of a million calls in a row would take longer than all else here.
   */
  queued(task: Task, isExact: boolean): number | null {
    this.#submitted += task.count;
    const now = isExact ? performance.now() : this.#clock.read();
    task.outcome = now;
    return isExact ? now : null;
  }

  /** A task is to start again, after an attempt that was in vain. */
  again(task: Task): void {
    task.outcome = performance.now();
    this.retried++;
  }

  /** A task is about to be settled, whose calls that are left are settled with it. */
  settled(task: Task, state: "done" | "failed" | "cancelled"): void {
    const { left, record } = task;
    if (state === "cancelled") this.cancelled += left;
    else if (record === null) this.#unsent += left;
    else if (state === "done") this.tallies[record.index]!.done += left;
    else this.tallies[record.index]!.failed += left;
  }

  /** A task is settled that was never queued. */
  refused(task: Task, state: "failed" | "cancelled"): void {
    this.#submitted += task.count;
    this.settled(task, state);
  }
}
