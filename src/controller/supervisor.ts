import type { Backend } from "../backend/backend.ts";
import type { DrainSettings, PoolLimits } from "../options.ts";
import { debugObserver } from "./debug-observer.ts";
import { type ExitStatus, PROGRAM_OVER, unknownExit } from "../os/exit.ts";
import type { BsyncError } from "../errors.ts";
import { performance } from "../os/natives.ts";
import { GOODBYE_MS } from "../os/waits.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { Task } from "../scheduler/task.ts";
import type { Greeting } from "../wire/greeting.ts";
import { Kind, type Rules } from "../wire/frames.ts";
import { isUnderWay } from "../scheduler/chunk.ts";
import { Activity } from "../wire/task-id.ts";
import { MessageWriter } from "../wire/writer.ts";
import type { Condition } from "./condition.ts";
import { type Connection, killFor, newConnection } from "./connection.ts";
import {
  diedUnused,
  explained,
  HELD,
  LoadFailures,
  lostWhileLoading,
  lostWhileRunning,
  neverServed,
  notReplaced,
  START_TRIES,
  startsExhausted,
  stuckAt,
} from "./lost.ts";
import type { FrameSender, InitialCall } from "./sender.ts";
import type { ValueEncoder } from "./values.ts";
import type { Watch } from "../watch/watch.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";

/** The parts of the pool that the supervisor uses. */
export interface SupervisorParts {
  readonly backend: Backend;
  readonly scheduler: Scheduler;
  readonly values: ValueEncoder;
  readonly sender: FrameSender;
  readonly condition: Condition;
  readonly limits: PoolLimits;
  readonly watch: Watch;
  readonly drain: DrainSettings;
}

/** How many functions a process can name. */
export const FUNCTIONS = 2 ** 32;

/** The controller, which knows what the pool has to do. */
export interface SupervisorOwner {
  /** The events of a worker's link; see `LinkOwner`. */
  onMessage(connection: Connection, bytes: Uint8Array, length: number, buffers: Uint8Array[]): void;
  onPause(): void;
  onStillAt(connection: Connection, at: number): void;
  onTorn(connection: Connection, buffer: Uint8Array): void;
  /** Whether a lost worker is to be replaced. */
  needsWorkers(): boolean;
  /** Whether a task whose worker is lost may start again. */
  mayStartAgain(): boolean;
  /** A task has failed with its worker. */
  fail(task: Task, worker: Connection, error: BsyncError): void;
  /** The state of a worker has changed. */
  onChanged(): void;
  /** A worker is gone; the tasks it had not begun are queued again. */
  onGone(connection: Connection): void;
  /** A lost worker cannot be replaced. */
  break(error: unknown): void;
}

/**
 * Keeps a worker in each place of the pool: connects it, and replaces a worker that has ended, was
 * given up, or has had all the tasks it may have. (OTP calls this a supervisor: `START_TRIES` is
 * its restart intensity.)
 */
export class Supervisor {
  readonly connections: Connection[] = [];
  readonly #parts: SupervisorParts;
  readonly #owner: SupervisorOwner;
  readonly #loads = new LoadFailures();
  #initializer: InitialCall | null = null;
  /** ms that a worker may take to answer and to run its initializer. */
  #openTimeout = Infinity;
  #workers = 0;
  /** Workers that were connected by now. */
  #sessions = 0;

  constructor(parts: SupervisorParts, owner: SupervisorOwner) {
    this.#parts = parts;
    this.#owner = owner;
    parts.watch.observe(parts.scheduler);
    parts.watch.concurrency = parts.limits.concurrency;
    parts.scheduler.observer = debugObserver(this.connections);
  }

  /** The call that each worker runs before anything else. */
  get initializer(): InitialCall | null {
    return this.#initializer;
  }

  /** Connects `workers` workers, each of which has `openTimeout` ms to serve. */
  start(workers: number, initializer: InitialCall | null, openTimeout: number): void {
    this.#initializer = initializer;
    this.#openTimeout = openTimeout;
    this.#workers = workers;
    for (let i = 0; i < workers; i++) this.#connect(this.#parts.scheduler.add());
  }

  /** Workers that do not serve yet. */
  get unready(): Connection[] {
    return this.connections.filter((connection) => this.stateOf(connection) === "starting");
  }

  stateOf({ record }: Connection): ReturnType<Scheduler["stateOf"]> {
    return this.#parts.scheduler.stateOf(record);
  }

  #connect(record: WorkerRecord, failedStarts = 0): void {
    const { backend, scheduler, values, sender, limits, drain, watch } = this.#parts;
    const owner = this.#owner;
    const link = backend.connect(record.index, {
      onMessage: (bytes, length, buffers) => owner.onMessage(connection, bytes, length, buffers),
      onPause: () => owner.onPause(),
      onStalled: (task) => {
        if (record.indexOf(task) >= 0 || record.mayBeHeldByParent) return;
        killFor(connection, HELD, task, task === Activity.Idle ? 0 : 1);
      },
      onStillAt: (at) => owner.onStillAt(connection, at),
      onTorn: (buffer) => owner.onTorn(connection, buffer),
      onLost: (status) => this.lose(connection, status),
    });
    const connection: Connection = newConnection({
      record,
      link,
      rank: backend.rankOf(record.index),
      host: backend.hostOf(record.index),
      writer: new MessageWriter(link.session ?? backend.session),
      tally: watch.tallyOf(record.index),
      failedStarts,
    });
    this.connections[record.index] = connection;
    // A process can be replaced, a rank cannot.
    const isProcess = link.kill !== undefined;
    if (isProcess) scheduler.allow(record, limits.tasksPerWorker);
    const rules: Rules = {
      maxMemory: isProcess ? limits.memoryPerWorker : Infinity,
      drainSignals: drain.signals,
      concurrency: limits.concurrency,
      localIndex: this.#localIndex(connection),
      workers: this.#workers,
      // One session of its own for each worker, and for each that takes its place.
      functionsFrom: ++this.#sessions * FUNCTIONS,
    };
    const opening = values.encode({ ...backend.opening, ...rules }, "opening");
    sender.write(connection, Kind.Open, record.index, connection.rank ?? -1, opening);
    if (this.#initializer !== null) sender.initialize(connection, this.#initializer);
    sender.flush();
  }

  /** How many workers with lower indices are on the same host. */
  #localIndex({ record, host }: Connection): number {
    let count = 0;
    for (let i = 0; i < record.index; i++) if (this.connections[i]!.host === host) count++;
    return count;
  }

  /** A worker has answered; it serves unless it has an initializer to run. */
  onReady(connection: Connection, greeting: Greeting): void {
    connection.greeting = greeting;
    connection.link?.meet(greeting);
    if (this.#initializer === null) this.#serve(connection);
  }

  /** A worker has run its initializer. */
  onInitialized(connection: Connection): void {
    if (this.stateOf(connection) === "starting") this.#serve(connection);
  }

  #serve(connection: Connection): void {
    connection.record.isSeen = connection.link?.isSeen ?? false;
    this.#parts.scheduler.ready(connection.record);
    this.#parts.watch.changed("ready", connection);
    connection.readyAt = performance.now();
    this.#owner.onChanged();
  }

  /** Closes a worker that is to be replaced, once it has answered its last task. */
  retire(connection: Connection): void {
    if (!this.#parts.scheduler.retire(connection.record, performance.now())) return;
    this.#parts.sender.write(connection, Kind.Close, 0);
  }

  /** A worker has sent `Closed`. */
  onClosed(connection: Connection): void {
    connection.isDone = true;
    if (this.#owner.needsWorkers()) this.#onUnexpectedClose(connection);
    this.#owner.onChanged();
  }

  /**
   * A worker has closed while the pool needs it: unless it was retiring and owes no answers, it is
   * lost as any other.
   */
  #onUnexpectedClose(connection: Connection): void {
    const { record, rank, link } = connection;
    if (record.inFlight.length === 0 && record.set === this.#parts.scheduler.sets.retiring) {
      this.#parts.scheduler.requeue.lose(record);
      this.#disconnect(connection);
      this.#replace(connection, 0, "has had all the tasks, or the memory, that it may have");
      return this.#owner.onGone(connection);
    }
    link?.kill?.();
    this.lose(connection, rank === null ? unknownExit("said goodbye") : PROGRAM_OVER);
  }

  /** Starts a replacement, which has as much time to serve as the first workers had. */
  #replace(connection: Connection, failedStarts: number, why: string): void {
    const { scheduler } = this.#parts;
    const lateAt = performance.now() + this.#openTimeout;
    const record = scheduler.replace(connection.record, lateAt);
    connection.tally.replace(connection.writer.sent);
    try {
      this.#connect(record, failedStarts);
      this.#parts.watch.changed("replaced", this.connections[record.index]!, why);
    } catch (error) {
      scheduler.requeue.lose(record);
      this.#owner.break(notReplaced(connection, error));
    }
  }

  /** A worker has ended: its running task fails, or starts again, and a replacement is started. */
  lose(connection: Connection, status: ExitStatus): void {
    const { scheduler, watch } = this.#parts;
    const { record } = connection;
    if (scheduler.stateOf(record) === "gone") return;
    watch.changed(this.#owner.needsWorkers() ? "lost" : "gone", connection, status.text);
    const at = connection.link?.currentTask;
    // A chunk that is under way has its function: a call behind it loads.
    const loading =
      at === Activity.Loading
        ? record.inFlight.find((task) => !task.settled && !isUnderWay(task))
        : null;
    const runs = at !== undefined && record.indexOf(at) >= 0 ? at : null;
    const waiting = record.parents?.waitingIds(runs);
    const ending = explained(status, connection);
    const lost = scheduler.requeue.lose(record, at);
    connection.isDone = true;
    this.#disconnect(connection);
    for (const task of lost) {
      const hasWaited = waiting?.has(task.id) ?? false;
      const makeError = () => lostWhileRunning(task, connection, ending, hasWaited);
      if (++task.losses <= task.options.retries && this.#owner.mayStartAgain()) {
        scheduler.submitAgain(task);
        watch.again(task, makeError);
      } else {
        this.#owner.fail(task, connection, makeError());
      }
    }
    if (loading && this.#loads.cost(loading)) {
      scheduler.cancel(loading, 0);
      this.#owner.fail(loading, connection, lostWhileLoading(loading, connection, status));
    }
    const isUnused = lost.length === 0 && !loading && diedUnused(connection, performance.now());
    const failedStarts = isUnused ? connection.failedStarts + 1 : 0;
    if (this.#owner.needsWorkers()) {
      if (failedStarts >= START_TRIES) this.#owner.break(startsExhausted(connection, status));
      else this.#replace(connection, failedStarts, status.text);
    }
    this.#owner.onGone(connection);
  }

  /** Ends a process that does not move on from a call that was settled without it. */
  endStuck(connection: Connection): void {
    const { record, link } = connection;
    // Of several calls any may hold its thread. None that is wanted does, by all that is known.
    if (record.begun !== null) return killFor(connection, stuckAt(null));
    // The answer of the settled one is on its way.
    if (record.hasMovedOn(link?.currentTask)) return;
    const { late } = record;
    killFor(connection, stuckAt(late), late?.id, late?.count);
  }

  /** Gives up a worker that did not serve in its time. */
  giveUp(connection: Connection): void {
    connection.link?.kill?.();
    this.lose(connection, neverServed(connection, this.#openTimeout));
  }

  /** Releases every worker; with `now`, without waiting for those that are busy. */
  async release(now: boolean): Promise<void> {
    const { scheduler, sender, condition, watch } = this.#parts;
    const left = this.connections.filter((connection) => !connection.isDone);
    for (const connection of left) {
      // An idle worker exits by itself, once its output is written.
      if (now && this.stateOf(connection) !== "idle") connection.link?.kill?.();
      sender.write(connection, Kind.Close, 0);
    }
    sender.flush();
    const wait = now ? GOODBYE_MS / 10 : GOODBYE_MS;
    const isGone = (connection: Connection) =>
      connection.isDone || this.stateOf(connection) === "overdue";
    // Checked at each `Closed`: goes on from the worker it waited for, and checks all in the end.
    let next = 0;
    const areGone = () => {
      while (next < left.length && isGone(left[next]!)) next++;
      if (next < left.length) return false;
      next = 0;
      return left.every(isGone);
    };
    await condition.wait(areGone, performance.now() + wait);
    for (const connection of left) {
      if (!connection.isDone && !connection.link?.isHeldByWrite) connection.link?.kill?.();
      this.#disconnect(connection);
    }
    for (const connection of this.connections) {
      if (this.stateOf(connection) !== "gone") watch.changed("gone", connection);
      scheduler.requeue.lose(connection.record);
    }
  }

  #disconnect({ link }: Connection): void {
    if (link === null) return;
    link.close();
    this.#parts.backend.disconnect(link);
  }
}
