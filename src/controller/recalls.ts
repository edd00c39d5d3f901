import type { Connection } from "./connection.ts";
import { Activity } from "../wire/task-id.ts";
import { BEGIN_MS, CERTAIN_MS } from "../link/task-word.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { Task, WorkerRecord } from "../scheduler/task.ts";

/** ms between two looks. */
const LOOK_MS = 2;

/**
 * ms after which a call to another machine, where both sides nap between two messages, is taken to
 * hold its worker.
 */
const FAR_MS = 20;

/** µs of work behind a call that are worth a recall at once: by then it has had its effect. */
const WORTH_US = 1_000;

/** What was seen of a worker at the last looks. */
interface Seen {
  /**
   * The first in flight, what the worker told to be at, how far it had read, and since when all
   * that is so.
   */
  head: Task | undefined;
  told: number | undefined;
  reading: number | null;
  since: number;
  /** When it was recalled. */
  recalledAt: number;
}

/** What is to be done about a worker. */
export interface RecallDeeds {
  /** It begins nothing more of what it was sent. */
  recall(connection: Connection): void;
  /**
   * What a recalled one has not begun is queued again; false where it cannot be told yet which that
   * is.
   */
  takeBack(connection: Connection): boolean;
}

/**
 * Sees to it that no call waits behind another one while a worker has nothing to do: there, what
 * others were sent and have not begun is taken back within some ms, and goes to who can begin it.
 *
 * It looks only while a worker is idle and another is not. Where the calls that wait are known to
 * be long by now, a recall follows at once. Else it takes two looks that find the worker at the
 * same call, as calls of some µs are done before a recall arrives. It has no timer: the times are
 * arguments, and `nextLook` says when it wants to be asked again.
 */
export class Recalls {
  readonly #scheduler: Scheduler;
  readonly #connections: readonly Connection[];
  readonly #deeds: RecallDeeds;
  readonly #seen = new WeakMap<WorkerRecord, Seen>();
  /** Those from which something is to be taken back. */
  readonly #recalled = new Set<Connection>();
  /** How often a task was taken back from a worker that had begun none. */
  readonly #vain = new WeakMap<Task, number>();
  #lastLook = -Infinity;
  #nextLook = Infinity;
  #turns = 0;

  constructor(scheduler: Scheduler, connections: readonly Connection[], deeds: RecallDeeds) {
    this.#scheduler = scheduler;
    this.#connections = connections;
    this.#deeds = deeds;
  }

  /** When it has something to look for; Infinity for never. */
  get nextLook(): number {
    return this.#nextLook;
  }

  /** A worker is idle, and another may not be. */
  watch(now: number): void {
    const hasTurned = this.#turns !== this.#scheduler.priceEpoch;
    if (this.#nextLook !== Infinity && !hasTurned) return;
    if (hasTurned || now - this.#lastLook >= LOOK_MS) this.#look(now);
    else this.#lookAt(this.#lastLook + LOOK_MS);
  }

  /** Looks if it is time to. True if something was queued again. */
  due(now: number): boolean {
    if (now < this.#nextLook) return false;
    this.#nextLook = Infinity;
    const isTaken = this.#takeBack(now);
    if (this.#scheduler.sets.mayHelp) this.#look(now);
    return isTaken;
  }

  /** Recalls what a worker has not begun, whether another is idle or not. */
  recall(connection: Connection, now: number): void {
    const { record, link } = connection;
    const seen = this.#seenOf(record);
    this.#compare(connection, seen, now);
    seen.recalledAt = now;
    this.#deeds.recall(connection);
    if (link?.currentTask === undefined) return; // the worker, or its rank, has to say
    this.#recalled.add(connection);
    this.#lookAt(now + CERTAIN_MS);
  }

  /** µs that a worker has been at the same call, as far as that was seen. */
  heldFor(record: WorkerRecord, now: number): number {
    const seen = this.#seen.get(record);
    return Math.max(WORTH_US, seen === undefined ? 0 : (now - seen.since) * 1000);
  }

  /** What a worker held was taken back, and it had begun none of it. */
  wasInVain(tasks: readonly Task[]): void {
    for (const task of tasks) this.#vain.set(task, (this.#vain.get(task) ?? 0) + 1);
  }

  rest(): void {
    this.#nextLook = Infinity;
    this.#recalled.clear();
  }

  #lookAt(time: number): void {
    if (time < this.#nextLook) this.#nextLook = time;
  }

  /**
   * Takes back from recalled workers, of which it is certain by now what they have begun. True if
   * anything was.
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
      const patience = this.#patience(connection, now);
      if (patience === Infinity) continue;
      if (patience <= 0) this.recall(connection, now);
      else this.#lookAt(now + LOOK_MS);
    }
  }

  /**
   * ms until what a worker has not begun is to be recalled, unless it moves; Infinity where there
   * is nothing.
   */
  #patience(connection: Connection, now: number): number {
    const { record, link } = connection;
    const begun = begunOf(connection);
    const us = this.#scheduler.heldBy(record, begun);
    if (us === 0 || link === null) return Infinity;
    const seen = this.#seenOf(record);
    this.#compare(connection, seen, now);
    if (begun > 0 && us >= WORTH_US && link.isSeen) return 0;
    const limit = !link.isSeen ? FAR_MS : begun > 0 ? LOOK_MS : this.#beginMs(connection);
    return limit - (now - seen.since);
  }

  /**
   * ms that a worker has to begin the first one: twice as many whenever that was taken back in
   * vain.
   */
  #beginMs({ record, link }: Connection): number {
    const times = 2 ** (this.#vain.get(record.running!) ?? 0);
    // Its rank has given it the first of them.
    return BEGIN_MS * (link?.isStalled ? times - 1 : times);
  }

  #seenOf(record: WorkerRecord): Seen {
    let seen = this.#seen.get(record);
    if (seen === undefined) {
      seen = { head: undefined, told: undefined, reading: null, since: 0, recalledAt: 0 };
      this.#seen.set(record, seen);
    }
    return seen;
  }

  /** Notes what a worker is at: its time counts from here if that has changed. */
  #compare({ record, link }: Connection, seen: Seen, now: number): void {
    const head = record.running;
    const told = link?.currentTask;
    const reading = link?.reading ?? null;
    // What is large may take longer to arrive than a worker has to begin it.
    const arrives = told === Activity.Idle && (reading === null || reading !== seen.reading);
    if (head !== seen.head || told !== seen.told || arrives) seen.since = now;
    seen.head = head;
    seen.told = told;
    seen.reading = reading;
  }
}

/**
 * How many of a worker's calls are begun, the one that it runs among them. Where that is not seen,
 * and while it loads what it needs for it, the first one is taken for begun.
 */
function begunOf({ record, link }: Connection): number {
  const told = link?.currentTask;
  if (link?.isStalled) return 0;
  if (told === undefined || told === Activity.Loading) return 1;
  return 1 + record.indexOf(told);
}
