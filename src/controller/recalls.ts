import type { Connection } from "./connection.ts";
import { Activity } from "../wire/task-id.ts";
import { BEGIN_MS, CERTAIN_MS } from "../link/task-word.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { Task } from "../scheduler/task.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";

/** ms between two looks. */
const LOOK_MS = 2;

/**
 * ms after which a call to another machine, where both sides nap between two messages, is taken to
 * hold its worker.
 */
const FAR_MS = 20;

/** µs of work behind a call that are worth a recall at once: it takes effect within them. */
const WORTH_US = 1_000;

/** What the last looks at a worker found. */
interface Seen {
  /**
   * The first task in flight, the worker's report, how far it had read, and since when all three
   * are the same.
   */
  head: Task | undefined;
  reported: number | undefined;
  reading: number | null;
  since: number;
  /** When it was recalled. */
  recalledAt: number;
}

/** The actions that `Recalls` decides on. */
export interface RecallDeeds {
  /** Recalls the calls that the worker has not begun. */
  recall(connection: Connection): void;
  /**
   * Queues the unbegun calls of a recalled worker again; false while it is not certain which they
   * are.
   */
  takeBack(connection: Connection): boolean;
}

/**
 * Keeps calls from waiting behind another while a worker is idle: those that a busy worker was sent
 * and has not begun are recalled within some ms, and go to workers that can begin them.
 *
 * It looks only while one worker is idle and another is not. Calls that are known to be long by now
 * are recalled at once. Otherwise two looks have to find the worker at the same call, as calls of
 * some µs are done before a recall arrives. It has no timer: the times are arguments, and
 * `nextLook` is when it wants to be asked again.
 */
export class Recalls {
  readonly #scheduler: Scheduler;
  readonly #connections: readonly Connection[];
  readonly #deeds: RecallDeeds;
  readonly #seen = new WeakMap<WorkerRecord, Seen>();
  /** Recalled workers whose calls are still to be reclaimed. */
  readonly #recalled = new Set<Connection>();
  /** How often a task was reclaimed from a worker that had begun none. */
  readonly #fruitless = new WeakMap<Task, number>();
  #lastLook = -Infinity;
  #nextLook = Infinity;
  #turns = 0;

  constructor(scheduler: Scheduler, connections: readonly Connection[], deeds: RecallDeeds) {
    this.#scheduler = scheduler;
    this.#connections = connections;
    this.#deeds = deeds;
  }

  /** When the next look is due; Infinity for never. */
  get nextLook(): number {
    return this.#nextLook;
  }

  /** A worker is idle, and another may be busy: looks from now on. */
  watch(now: number): void {
    const hasTurned = this.#turns !== this.#scheduler.priceEpoch;
    if (this.#nextLook !== Infinity && !hasTurned) return;
    if (hasTurned || now - this.#lastLook >= LOOK_MS) this.#look(now);
    else this.#lookAt(this.#lastLook + LOOK_MS);
  }

  /** Looks if a look is due. True if calls were queued again. */
  due(now: number): boolean {
    if (now < this.#nextLook) return false;
    this.#nextLook = Infinity;
    const isTaken = this.#takeBack(now);
    if (this.#scheduler.sets.mayHelp) this.#look(now);
    return isTaken;
  }

  /** Recalls a worker's unbegun calls, whether another is idle or not. */
  recall(connection: Connection, now: number): void {
    const { record, link } = connection;
    const seen = this.#seenOf(record);
    this.#compare(connection, seen, now);
    seen.recalledAt = now;
    this.#deeds.recall(connection);
    if (link?.currentTask === undefined) return; // the worker, or its rank, reports it
    this.#recalled.add(connection);
    this.#lookAt(now + CERTAIN_MS);
  }

  /** µs that a worker has been at the same call, as far as that was seen. */
  heldFor(record: WorkerRecord, now: number): number {
    const seen = this.#seen.get(record);
    return Math.max(WORTH_US, seen === undefined ? 0 : (now - seen.since) * 1000);
  }

  /** These tasks were reclaimed from a worker that had begun none of them. */
  wasFruitless(tasks: readonly Task[]): void {
    for (const task of tasks) this.#fruitless.set(task, (this.#fruitless.get(task) ?? 0) + 1);
  }

  stop(): void {
    this.#nextLook = Infinity;
    this.#recalled.clear();
  }

  #lookAt(time: number): void {
    if (time < this.#nextLook) this.#nextLook = time;
  }

  /**
   * Reclaims from recalled workers whose reports are certain by now. True if any call was
   * reclaimed.
   */
  #takeBack(now: number): boolean {
    let isTaken = false;
    for (const connection of this.#recalled) {
      const { record } = connection;
      const certainAt = this.#seenOf(record).recalledAt + CERTAIN_MS;
      if (now < certainAt) this.#lookAt(certainAt);
      else if (!record.recalled) this.#recalled.delete(connection);
      else if (this.#deeds.takeBack(connection)) {
        this.#recalled.delete(connection);
        isTaken = true;
      } else this.#lookAt(now + LOOK_MS);
    }
    return isTaken;
  }

  #look(now: number): void {
    this.#lastLook = now;
    this.#turns = this.#scheduler.priceEpoch;
    for (const connection of this.#connections) {
      const { record } = connection;
      if (record.inFlight.length === 0 || record.recalled) continue;
      const graceMs = this.#graceMs(connection, now);
      if (graceMs === Infinity) continue;
      if (graceMs <= 0) this.recall(connection, now);
      else this.#lookAt(now + LOOK_MS);
    }
  }

  /**
   * ms until a worker's unbegun calls are to be recalled, unless it moves on; Infinity if it has
   * none.
   */
  #graceMs(connection: Connection, now: number): number {
    const { record, link } = connection;
    const begun = begunOf(connection);
    const us = this.#scheduler.requeue.heldBy(record, begun, link?.currentTask);
    if (us === 0 || link === null) return Infinity;
    const seen = this.#seenOf(record);
    this.#compare(connection, seen, now);
    if (begun > 0 && us >= WORTH_US && link.isSeen) return 0;
    const limit = !link.isSeen ? FAR_MS : begun > 0 ? LOOK_MS : this.#beginMs(connection);
    return limit - (now - seen.since);
  }

  /** ms that a worker has to begin its first call, doubled each time that was reclaimed unbegun. */
  #beginMs({ record, link }: Connection): number {
    const times = 2 ** (this.#fruitless.get(record.running!) ?? 0);
    // Its rank has waited the first `BEGIN_MS` already.
    return BEGIN_MS * (link?.isStalled ? times - 1 : times);
  }

  #seenOf(record: WorkerRecord): Seen {
    let seen = this.#seen.get(record);
    if (seen === undefined) {
      seen = { head: undefined, reported: undefined, reading: null, since: 0, recalledAt: 0 };
      this.#seen.set(record, seen);
    }
    return seen;
  }

  /** Records what a worker is at: its time counts from here if that has changed. */
  #compare({ record, link }: Connection, seen: Seen, now: number): void {
    const head = record.running;
    const reported = link?.currentTask;
    const reading = link?.reading ?? null;
    // A large call may take longer to arrive than a worker has to begin it.
    const arrives = reported === Activity.Idle && (reading === null || reading !== seen.reading);
    if (head !== seen.head || reported !== seen.reported || arrives) seen.since = now;
    seen.head = head;
    seen.reported = reported;
    seen.reading = reading;
  }
}

/**
 * How many of a worker's calls are begun, the running one included. Where its reports are not seen,
 * and while it loads modules for the first call, that one is taken for begun.
 */
function begunOf({ record, link }: Connection): number {
  const reported = link?.currentTask;
  if (link?.isStalled) return 0;
  if (reported === undefined || reported === Activity.Loading) return 1;
  return 1 + record.indexOf(reported);
}
