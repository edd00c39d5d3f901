import { performance } from "../os/natives.ts";
import type { Task } from "../scheduler/task.ts";
import type { Chunk } from "../scheduler/chunk.ts";
import type { OnBegin } from "../scheduler/observer.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";
import { type Change, type End, joined, type Place, type Sink } from "./sink.ts";
import type { ProgressSources } from "./progress-sources.ts";
import { Callbacks } from "./callbacks.ts";
import { Reports } from "./reports.ts";
import { CoarseClock } from "./coarse-clock.ts";
import { FailureCounts } from "./failure-counts.ts";
import { Longest } from "./longest.ts";
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
  /** The longest calls, and failures by their texts. */
  readonly longest = new Longest();
  readonly failures = new FailureCounts();
  /** By the indices of workers. */
  readonly tallies: Tally[] = [];
  /** Attempts that were followed by another. */
  retried = 0;
  /** Workers that have ended while the pool needed them. */
  workersLost = 0;
  cancelled = 0;
  /** Maps and lists of handles that are waited for. */
  readonly progressSources: ProgressSources = new Set();
  /** Calls that were submitted so far. */
  submitted = 0;
  /** How the pool came to its end; null before. */
  end: "closed" | "terminated" | null = null;
  /** How many calls a worker may have under way. */
  concurrency = 1;
  /** Calls to the program's listeners. */
  readonly callbacks = new Callbacks();
  readonly reports = new Reports(this.callbacks);
  /** Those who hear of each step, as one; null for none. */
  #sink: Sink | null = null;
  readonly #sinks: Sink[] = [];
  readonly #atEnd = new Set<() => void>();
  #observed: Observed | null = null;
  readonly #clock = new CoarseClock();
  /** When the message has come that is being read. */
  #messageAt = 0;
  /** Failures of tasks that no worker was sent. */
  #unsent = 0;
  #openedAt = Infinity;
  #closedAt = Infinity;

  /** The pool is open. */
  open(): void {
    this.#openedAt = performance.now();
  }

  /** It is over: its numbers stay. */
  close(isTerminated: boolean): void {
    this.end = isTerminated ? "terminated" : "closed";
    this.#closedAt = performance.now();
    // A copy: they leave while they are called.
    for (const deed of [...this.#atEnd]) deed();
  }

  /** `deed` is done when the pool is over, unless what it returns is disposed before. */
  atEnd(deed: () => void): Disposable {
    this.#atEnd.add(deed);
    return { [Symbol.dispose]: () => void this.#atEnd.delete(deed) };
  }

  /** The pool whose steps can be heard. */
  observe(observed: Observed): void {
    this.#observed = observed;
  }

  /** `sink` hears of each step from now on, until that is disposed. */
  add(sink: Sink): Disposable {
    this.#sinks.push(sink);
    this.#join();
    return {
      [Symbol.dispose]: () => {
        const index = this.#sinks.indexOf(sink);
        if (index >= 0) this.#sinks.splice(index, 1);
        this.#join();
      },
    };
  }

  #join(): void {
    const sink = joined(this.#sinks);
    this.#sink = sink;
    if (this.#observed === null) return;
    this.#observed.onBegin =
      sink?.begun === undefined ? null : (task, now) => sink.begun!(task, 0, now);
  }

  /** A message is read that has come at that time. */
  reads(now: number): void {
    this.#messageAt = now;
  }

  /** A worker has answered: what was sent behind that begins. */
  begins({ inFlight, begun }: WorkerRecord, now: number): void {
    if (this.#sink === null || begun !== null || inFlight.length === 0) return;
    const task = inFlight.at(0)!;
    if (!task.settled) this.#sink.begun?.(task, (task as Partial<Chunk>).answered ?? 0, now);
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
    return this.submitted - this.done - this.failed - this.cancelled;
  }

  /** What is counted of the worker at that index. */
  tallyOf(index: number): Tally {
    return (this.tallies[index] ??= new Tally(this.wait, this.run, this.longest));
  }

  /**
   * A task is queued. Returns the time where it is needed, as `isExact` says; else null: to read
   * the clock for each of a million calls in a row would take longer than all else here.
   */
  queued(task: Task, isExact: boolean): number | null {
    this.submitted += task.count;
    const now = isExact ? performance.now() : this.#clock.read();
    task.outcome = now;
    return isExact ? now : null;
  }

  /** A task is to start again, after an attempt that was in vain. */
  again(task: Task, error: () => unknown): void {
    const now = performance.now();
    this.#sink?.retried?.(task, error(), now);
    task.outcome = now;
    this.retried++;
  }

  /** A task is about to be settled, and with it those of its calls that are left. */
  settled(task: Task, state: End, outcome: unknown): void {
    const { left, record } = task;
    if (state === "cancelled") this.cancelled += left;
    else if (record === null) this.#unsent += left;
    else if (state === "done") this.tallies[record.index]!.done += left;
    else this.tallies[record.index]!.failed += left;
    if (state === "failed") this.failures.add(outcome, left);
    if (this.#sink === null) return;
    const { ranFor } = task;
    const now = ranFor === null ? performance.now() : this.#messageAt;
    const error = state === "done" ? undefined : outcome;
    for (let i = task.count - left; i < task.count; i++)
      this.#sink.ended?.(task, i, state, error, ranFor === null ? null : now - ranFor, now);
  }

  /** A task is settled that was never queued. */
  refused(task: Task, state: "failed" | "cancelled", error: unknown): void {
    this.submitted += task.count;
    task.outcome = performance.now();
    this.settled(task, state, error);
  }

  /** A call of a chunk has ended, after `us` µs. */
  item(chunk: Chunk, offset: number, us: number, now: number, error?: { readonly error: unknown }) {
    const tally = this.tallies[chunk.record!.index]!;
    if (error === undefined) tally.done++;
    else {
      tally.failed++;
      this.failures.add(error.error, 1);
    }
    const state = error === undefined ? "done" : "failed";
    this.#sink?.ended?.(chunk, offset, state, error?.error, now - us / 1000, now);
  }

  /** `count` calls of a chunk have returned, which took `us` µs in all. */
  items(chunk: Chunk, offset: number, count: number, us: number, now: number): void {
    const tally = this.tallies[chunk.record!.index]!;
    tally.ranAll(chunk, count, us, now);
    tally.done += count;
    this.#sink?.endedAll?.(chunk, offset, count, now - us / 1000, now);
  }

  /** If that call waits for tasks of its own by now, it has left its place. */
  suspends(record: WorkerRecord, id: number): void {
    const task = record.parents?.at(id);
    if (task === undefined) return;
    const now = performance.now();
    this.tallies[record.index]!.pause(id, now);
    this.#sink?.paused?.(task, task.offsetOf(id), record, now);
  }

  /** If that call waits for tasks of its own, it is about to go on. */
  resumes(record: WorkerRecord, id: number): void {
    const task = record.parents?.at(id);
    if (task === undefined) return;
    const now = performance.now();
    this.tallies[record.index]!.resume(id, now);
    this.#sink?.begun?.(task, task.offsetOf(id), now);
  }

  /** Something has become of a worker. */
  changed(change: Change, place: Place, reason: string | null = null): void {
    if (change === "lost") this.workersLost++;
    this.#sink?.changed?.(change, place, reason, performance.now());
  }
}

/** The scheduler, which sees calls begin. */
export interface Observed {
  onBegin: OnBegin | null;
}
