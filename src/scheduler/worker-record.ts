import { Fifo } from "../collections/fifo.ts";
import { costOf, IN_FLIGHT_US, loadOf, sum } from "./costs.ts";
import { BegunCalls, type WorkerStage } from "./begun-calls.ts";
import { Parents } from "./parents.ts";
import { Task } from "./task.ts";
import type { WaitingTasks } from "./waiting-tasks.ts";

/** Tasks that wait for their children on a worker, but for those that are children themselves. */
const MOST_SUSPENDED = 1000;

/** A worker as the scheduler sees it. */
export class WorkerRecord {
  readonly index: number;
  /** Sent and not answered, in the order of sending; see `running`. */
  readonly inFlight = new Fifo<Task>();
  /** @internal Tasks that wait for this worker and no other; null before there was one. */
  pinned: WaitingTasks | null = null;
  /** µs that each of `inFlight` was expected to take when it was sent, and their sum. */
  readonly costs = new Fifo<number>();
  load = 0;
  set: Set<WorkerRecord>;
  /** Since when the first in flight is the first, on `performance.now()`. */
  since = 0;
  /** When to replace it unless it has answered; Infinity when it owes nothing overdue. */
  stuckAt = Infinity;
  /** How many tasks it may still be sent. */
  quota = Infinity;
  /** How far it has come with a call that has a timeout, as it has reported: see `stageOf`. */
  stage: WorkerStage = "sent";
  /** The calls that it has begun, where it may have several under way; else null. */
  readonly begun: BegunCalls | null;
  /** The tasks that have waited for their children; null before there was one. */
  parents: Parents | null = null;
  /**
   * Its reports can be seen, so that unbegun calls can be reclaimed while a call holds its thread.
   * Known before it serves.
   */
  isSeen = true;
  /** Its unbegun calls were recalled, and it has not acknowledged that yet. */
  recalled = false;

  constructor(index: number, set: Set<WorkerRecord>, concurrency = 1) {
    this.index = index;
    this.set = set;
    this.begun = concurrency > 1 ? new BegunCalls() : null;
  }

  /**
   * The task that it runs, or that it was sent first of those, as far as is known without its
   * reports: the first in flight.
   */
  get running(): Task | undefined {
    return this.inFlight.at(0);
  }

  /** ms that the first in flight has taken by now, at the most; 0 for none. */
  underWay(now: number): number {
    return this.inFlight.length === 0 ? 0 : Math.max(0, now - this.since);
  }

  /** Whether a task that it runs is still wanted. */
  get runsWanted(): boolean {
    return this.running?.settled === false || (this.begun?.some((task) => !task.settled) ?? false);
  }

  /** Whether a task that it runs was settled without it. */
  get runsSettled(): boolean {
    return this.late !== null || (this.begun?.some(({ settled }) => settled) ?? false);
  }

  /** The first task that was settled without it of those that may run there. */
  get late(): Task | null {
    const last = this.#mayRun;
    for (let i = 0; i <= last; i++) {
      const task = this.inFlight.at(i);
      if (task?.settled) return task;
    }
    return null;
  }

  /**
   * Up to which place in flight a call may run, as far as is known without its reports: to the
   * first that did not wait for its children. Those that did come first, but may not have heard
   * that they go on.
   */
  get #mayRun(): number {
    if (this.parents === null) return 0;
    let i = 0;
    for (let task = this.running; task !== undefined && this.parents.has(task);) {
      task = this.inFlight.at(++i);
    }
    return i;
  }

  /** Whether a task runs there, as far as is known without its reports. */
  isAt(task: Task): boolean {
    return this.inFlight.at(this.#mayRun) === task || this.hasBegun(task);
  }

  /**
   * Whether it runs another call by now than the settled one: `at` is the call that it reports, if
   * it does.
   */
  hasMovedOn(at: number | undefined): boolean {
    const place = at === undefined ? -1 : this.indexOf(at);
    return place > this.#mayRun || this.inFlight.at(place)?.settled === false;
  }

  /**
   * Whether it has reported that it began this task: it does where several may be under way, and of
   * those that wait for their children.
   */
  hasBegun(task: Task): boolean {
    if (this.parents !== null && this.parents.has(task)) return true;
    return this.begun !== null && this.begun.has(task);
  }

  /** Whether tasks that have waited for their children are not over. */
  get hasParents(): boolean {
    return this.parents !== null && this.parents.size > 0;
  }

  /** Whether so many tasks wait there for their children that it begins nothing but children. */
  get isCrowded(): boolean {
    return this.parents !== null && this.parents.suspended >= MOST_SUSPENDED;
  }

  /** Whether tasks that wait for their children are there. */
  get hasSuspended(): boolean {
    return this.parents !== null && this.parents.suspended > 0;
  }

  /**
   * Whether a task that has waited for its children may have the thread, which nothing tells: it
   * may have gone on by itself, as by a timer.
   */
  get mayBeHeldByParent(): boolean {
    return this.parents !== null && this.parents.hasWanted;
  }

  /** The task in flight whose call of that number waits for its children: it is taken out. */
  suspend(id: number): Task | null {
    const index = this.indexOf(id);
    const task = this.inFlight.at(index);
    if (task === undefined || task.state !== "running") return null;
    this.parents ??= new Parents();
    this.parents.suspend(id, task);
    this.removeAt(index);
    return task;
  }

  /** The call of that number goes on as soon as it can, before those that have not begun. */
  resume(id: number): Task | null {
    const task = this.parents?.resume(id);
    if (task === undefined) return null;
    const others = this.takeAll();
    // It may hold the thread, or have nothing left to do: what it still costs is not known.
    this.inFlight.push(task);
    this.costs.push(0);
    if (this.begun !== null) this.begun.begin(task);
    this.keep(others);
    return task;
  }

  /** Whether calls wait there for their begin, behind one that runs. */
  get hasWaiting(): boolean {
    return this.inFlight.length > Math.max(1, this.begun?.size ?? 0);
  }

  /** Whether its thread is held, beside other calls, by one whose result is still wanted. */
  get isHeldByWanted(): boolean {
    return this.begun !== null && this.begun.isHeldByWanted;
  }

  /** It has begun a call. Returns the task if that is wanted, and has a timeout. */
  begin(id: number): Task | null {
    const task = this.inFlight.find((task) => task.id === id);
    if (task === undefined) return null;
    if (this.begun !== null) this.begun.begin(task);
    else if (isTimed(task)) this.stage = "begun";
    return isTimed(task) ? task : null;
  }

  /** The same of a call that has ended, and whose result follows. */
  finish(id: number): Task | null {
    const parent = this.parents?.finish(id);
    const task = parent ?? this.inFlight.find((task) => task.id === id);
    if (task === undefined || !isTimed(task)) return null;
    if (parent !== undefined) return task;
    if (this.begun === null) this.stage = "returned";
    else this.begun.finish(task);
    return task;
  }

  /** How far it has come with a task. */
  stageOf(task: Task): WorkerStage {
    const stage = this.parents?.stageOf(task);
    if (stage !== undefined) return stage;
    return this.begun === null ? this.stage : this.begun.stageOf(task);
  }

  /** µs of work behind its first `begun` calls that may go to another worker; 0 for none. */
  heldBehind(begun: number, isPinned: (task: Task) => boolean): number {
    let us = 0;
    for (let i = begun; i < this.inFlight.length; i++) {
      const task = this.inFlight.at(i)!;
      if (task.state !== "running" || this.hasBegun(task) || isPinned(task)) continue;
      us += costOf(task);
    }
    return us;
  }

  /** Whether it has to answer before it is sent more. */
  get isOwing(): boolean {
    return this.recalled || this.runsSettled;
  }

  /** Where a task is among those in flight; -1 where it is not. */
  indexOf(id: number): number {
    if (this.running?.id === id) return 0;
    return this.inFlight.findIndex((task) => task.offsetOf(id) >= 0);
  }

  /** The task whose call of that number it runs, or that waits there for its children. */
  taskAt(id: number): Task | undefined {
    return this.inFlight.at(this.indexOf(id)) ?? this.parents?.at(id);
  }

  /** Whether a task waits for it and no other. */
  get hasPinned(): boolean {
    return this.pinned !== null && this.pinned.waiting > 0;
  }

  /**
   * A task that was settled for it may start again elsewhere: what it goes on with, or is still to
   * answer, is that task no more.
   */
  disown(task: Task): void {
    const index = this.inFlight.findIndex((one) => one === task);
    if (index < 0) return;
    const standIn = new Task(task.order, task.fn, task.options);
    standIn.state = "failed";
    this.inFlight.set(index, standIn);
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
    if (this.begun !== null) this.begun.end(task);
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

  /** Takes those out of `tasks` that it has begun. */
  takeBegun(tasks: Task[]): Task[] {
    if (this.begun === null && this.parents === null) return [];
    const begun = tasks.filter((task) => this.hasBegun(task));
    for (const task of begun) tasks.splice(tasks.indexOf(task), 1);
    return begun;
  }

  /** Puts back what `takeAll` has taken, at the costs that are known by now. */
  keep(tasks: readonly Task[]): void {
    for (const task of tasks) {
      this.inFlight.push(task);
      this.costs.push(this.#loadOf(task));
    }
    this.load = sum(this.costs);
  }

  /** Looks up the costs of the tasks in flight anew. */
  reprice(): void {
    const { inFlight, costs } = this;
    for (let i = 0; i < inFlight.length; i++) costs.set(i, this.#loadOf(inFlight.at(i)!));
    this.load = sum(costs);
  }

  #loadOf(task: Task): number {
    return this.parents !== null && this.parents.has(task) ? 0 : loadOf(task);
  }
}

/** Whether a task is wanted, and has a timeout. */
function isTimed({ state, options }: Task): boolean {
  return state === "running" && options.timeout !== Infinity;
}
