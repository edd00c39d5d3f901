import { FirstOfSet } from "../collections/first-of-set.ts";
import type { Observer, WorkerState } from "./observer.ts";
import { WorkerRecord } from "./worker-record.ts";

/**
 * The workers of a pool. Each is in exactly one set at a time, and `move` alone changes that:
 *
 *   starting ──ready──▶ idle ◀──▶ open ◀──▶ full        takes tasks: idle, open
 *                         └────────┴──────────┴──overdue──▶ overdue ──answers──▶ idle
 *   idle, open, full ──quota used up, or over memory──▶ retiring ──retire, lose──▶ gone
 *   any ──lose──▶ gone
 *
 * `idle` has nothing in flight; `open` has, but only calls known to be short, and may be sent more
 * behind them; `full` may not, or has a pinned task to come to first; `overdue` still runs
 * something that was already settled (timed out, or cancelled), or has not acknowledged a recall,
 * and is sent nothing until it answers; `retiring` has had all the tasks it may have, and is to be
 * replaced once it has answered them.
 *
 * With a `concurrency` above 1 there is `spare` between `idle` and `open`: it has fewer calls in
 * flight than may be under way at once, and takes any call, as `idle` does.
 */
export class WorkerSets {
  observer: Observer | null = null;
  /** How many calls a worker may have under way. */
  concurrency = 1;
  /** The current workers, by index. */
  readonly workers: WorkerRecord[] = [];
  readonly starting = new Set<WorkerRecord>();
  readonly idle = new Set<WorkerRecord>();
  readonly spare = new Set<WorkerRecord>();
  readonly open = new Set<WorkerRecord>();
  readonly full = new Set<WorkerRecord>();
  readonly overdue = new Set<WorkerRecord>();
  readonly retiring = new Set<WorkerRecord>();
  readonly gone = new Set<WorkerRecord>();
  /** Workers that take any call, and open ones, for which pinned tasks wait. */
  readonly pinnedIdle = new Set<WorkerRecord>();
  readonly pinnedOpen = new Set<WorkerRecord>();

  readonly firstIdle = new FirstOfSet(this.idle);
  readonly #firstSpare = new FirstOfSet(this.spare);
  readonly firstOpen = new FirstOfSet(this.open);
  readonly firstPinnedIdle = new FirstOfSet(this.pinnedIdle);
  readonly firstPinnedOpen = new FirstOfSet(this.pinnedOpen);

  /** Whether a worker has nothing to do. */
  get hasIdle(): boolean {
    return this.idle.size > 0;
  }

  /** Whether a worker has nothing to do, and another may hold calls that it has not begun. */
  get mayHelp(): boolean {
    return this.idle.size > 0 && this.idle.size < this.workers.length;
  }

  /** Whether a worker could be sent more than it has. */
  get hasRoom(): boolean {
    return this.idle.size + this.open.size + this.spare.size > 0;
  }

  /** Workers that take any call. */
  get free(): number {
    return this.idle.size + this.spare.size;
  }

  takesAny({ set }: WorkerRecord): boolean {
    return set === this.idle || set === this.spare;
  }

  /** A worker that runs calls, and may begin another: they take turns. */
  nextSpare(): WorkerRecord | undefined {
    if (this.spare.size === 0) return undefined;
    const worker = this.#firstSpare.peek();
    this.#firstSpare.pass();
    return worker;
  }

  /** A starting worker in a new place. */
  add(): WorkerRecord {
    return this.#start(this.workers.length);
  }

  /** A starting worker in the place of one that is gone: same index, same pinned tasks. */
  replace(gone: WorkerRecord): WorkerRecord {
    const worker = this.#start(gone.index);
    worker.pinned = gone.pinned;
    gone.pinned = null;
    this.gone.delete(gone);
    return worker;
  }

  #start(index: number): WorkerRecord {
    const worker = new WorkerRecord(index, this.starting, this.concurrency);
    this.starting.add(worker);
    this.workers[index] = worker;
    return worker;
  }

  move(worker: WorkerRecord, to: Set<WorkerRecord>): void {
    const { set } = worker;
    if (set === to) return;
    const from = this.observer === null ? null : this.stateOf(worker);
    const hasPinned = worker.pinned !== null && worker.hasPinned;
    if (hasPinned) this.unpin(worker);
    set.delete(worker);
    to.add(worker);
    worker.set = to;
    if (hasPinned) this.pin(worker);
    if (from !== null) this.#report(worker, from);
  }

  /** Tasks wait for a worker and no other. */
  pin(worker: WorkerRecord): void {
    if (this.takesAny(worker)) this.pinnedIdle.add(worker);
    else if (worker.set === this.open) this.pinnedOpen.add(worker);
  }

  /** None do any more. */
  unpin(worker: WorkerRecord): void {
    this.pinnedIdle.delete(worker);
    this.pinnedOpen.delete(worker);
  }

  #report(worker: WorkerRecord, from: WorkerState): void {
    const state = this.stateOf(worker);
    if (state !== from) this.observer!.onWorker(worker, from, state);
  }

  stateOf(worker: WorkerRecord): WorkerState {
    if (worker.set === this.starting) return "starting";
    if (worker.set === this.idle) return "idle";
    // A recalled worker whose task is still wanted is simply busy with that.
    if (worker.set === this.overdue) return worker.runsWanted ? "busy" : "overdue";
    if (worker.set === this.retiring && worker.inFlight.length === 0) return "starting";
    return worker.set === this.gone ? "gone" : "busy";
  }
}
