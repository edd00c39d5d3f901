import { Task, type TaskOptions } from "../../src/scheduler/task.ts";
import { expect } from "bun:test";
import { START_MS, STUCK_MS } from "../../src/os/waits.ts";
import { Scheduler, VERDICT_MS } from "../../src/scheduler/scheduler.ts";
import type { Verdict } from "../../src/scheduler/verdict.ts";
import { type KnownFunction, unmeasured } from "../../src/scheduler/estimates.ts";
import type { WorkerRecord } from "../../src/scheduler/worker-record.ts";

/** µs: what `IN_FLIGHT_US` of the scheduler is; functions below it are short. */
export const SHORT_US = 50;

export function newFunction(id: number, expected = Infinity): KnownFunction {
  const text = `f${id}`;
  return { ...unmeasured({ id, label: text, reference: { kind: "text", text } }), expected };
}

/** What the model knows of a worker: two lists and some facts. */
interface Seat {
  record: WorkerRecord;
  state: "starting" | "serving" | "gone";
  inFlight: Task[];
  pinned: Task[];
  /** Since when the first in flight is known to be settled; and whether it was reported. */
  since: number;
  reported: boolean;
  /** How many tasks it may still be sent; and since when it is let go, null if it is not. */
  left: number;
  retiredAt: number | null;
  /** What it had not begun was taken back, and it does not know yet. */
  recalled: boolean;
  /** It could be sent nothing behind what it has, for it has a task of its own that may not wait. */
  isHeld: boolean;
  /** When it is late, unless it serves by then, or was said to be. */
  lateAt: number;
}

/**
 * A scheduler beside a simple model of what it promises. Every deed is done to both, and each
 * answer compared: lists are searched from end to end here, and nothing is kept that can be counted.
 */
export class Model {
  readonly scheduler = new Scheduler();
  readonly tasks: Task[] = [];
  readonly functions = [1, 2, 3, 4].map((id) => newFunction(id));
  now = 1000;
  readonly #seats: Seat[] = [];
  readonly #queue: Task[] = [];
  readonly #settled = new Set<Task>();
  readonly #deadlines = new Map<Task, number>();
  readonly #pins = new Map<Task, Seat>();
  #parked: Task[] = [];
  #order = 1;

  constructor(workers: number) {
    for (let i = 0; i < workers; i++) this.#seats.push(newSeat(this.scheduler.add()));
  }

  submit(fn: number, options: TaskOptions, pinnedTo: number | null): void {
    const seat = pinnedTo === null ? undefined : pick(this.#seats, pinnedTo);
    const worker = seat?.record.index ?? null;
    const task = new Task(this.#order++, pick(this.functions, fn), { ...options, worker });
    this.tasks.push(task);
    if (seat !== undefined) this.#pins.set(task, seat);
    (seat?.pinned ?? this.#queue).push(task);
    this.scheduler.submit(task);
  }

  ready(worker: number): void {
    const seat = pick(this.#seats, worker);
    this.scheduler.ready(seat.record);
    if (seat.state === "starting") seat.state = "serving";
    seat.lateAt = Infinity;
  }

  /** Bounds the tasks of a worker that does not serve yet. */
  allow(worker: number, tasks: number): void {
    const seat = pick(this.#seats, worker);
    if (seat.state !== "starting") return;
    this.scheduler.allow(seat.record, tasks);
    seat.left = tasks;
  }

  spend(worker: number): void {
    const seat = pick(this.#seats, worker);
    this.scheduler.spend(seat.record);
    seat.isHeld = false;
    if (seat.state === "serving") seat.left = -Infinity;
  }

  retire(worker: number): void {
    const seat = pick(this.#seats, worker);
    const expected = isSpent(seat) && seat.inFlight.length === 0 && seat.retiredAt === null;
    expect(this.scheduler.retire(seat.record, this.now)).toBe(expected);
    if (expected) seat.retiredAt = this.now;
  }

  /** Asks for the next task, and judges the answer. */
  next(): boolean {
    const urgent = mostUrgent(this.#queue);
    for (const seat of this.#seats) {
      const own = mostUrgent(seat.pinned);
      const first = own !== undefined && isDue(own, urgent) ? own : urgent;
      if (own !== undefined && !mayWait(first!)) seat.isHeld = true;
    }
    const task = this.scheduler.next(this.now);
    const idle = this.#seats.filter((seat) => isIdle(seat));
    if (task === null) {
      if (urgent !== undefined) expect(idle).toEqual([]);
      for (const seat of this.#seats) this.#judgeIdleness(seat, urgent);
      return false;
    }
    const seat = this.#seats.find(({ record }) => record === task.record)!;
    const own = mostUrgent(seat.pinned);
    expect(seat.state).toBe("serving");
    expect(isOverdue(seat)).toBeFalse();
    expect(seat.left--).toBeGreaterThan(0);
    const isOwn = own !== undefined && isDue(own, urgent);
    expect(task).toBe((isOwn ? own : urgent)!);
    if (!idle.includes(seat)) this.#judgeBehind(seat, task);
    if (!isOwn) {
      if (idle.length > 0) expect(idle).toContain(seat);
      // One that could not start its own at once is not taken for it.
      if (idle.some(({ pinned }) => pinned.length === 0)) expect(own).toBeUndefined();
    }
    const list = isOwn ? seat.pinned : this.#queue;
    list.splice(list.indexOf(task), 1);
    seat.inFlight.push(task);
    if (task.options.timeout !== Infinity) {
      this.#deadlines.set(task, this.now + task.options.timeout + START_MS);
    }
    expect(task.state).toBe("running");
    return true;
  }

  /** A worker was sent nothing; `urgent` is the first task that any may take. */
  #judgeIdleness(seat: Seat, urgent: Task | undefined): void {
    const own = mostUrgent(seat.pinned);
    if (isIdle(seat)) return expect(own).toBeUndefined();
    if (!isOpen(seat)) return;
    const isOwn = own !== undefined && isDue(own, urgent);
    const first = isOwn ? own : urgent;
    if (first === undefined || !mayWait(first)) return;
    // What it could not be sent before, it is sent when it has answered.
    expect(seat.isHeld).toBeTrue();
  }

  /** A task was sent behind others. */
  #judgeBehind(seat: Seat, task: Task): void {
    expect(mayWait(task)).toBeTrue();
    if (!seat.record.isSeen && !this.#pins.has(task)) {
      const lost = seat.inFlight.length * Math.max(task.fn.longest, 10_000);
      expect(lost).toBeLessThanOrEqual(100 * task.fn.trust);
    }
    for (const before of seat.inFlight) expect(before.fn.expected).toBeLessThan(SHORT_US);
    const { costs } = seat.record;
    expect(sum([...costs].slice(0, -1))).toBeLessThan(SHORT_US + 1e-6);
  }

  /** A worker says that it began what is first. */
  started(worker: number): void {
    const seat = pick(this.#seats, worker);
    const task = seat.inFlight[0];
    this.scheduler.started(seat.record, task?.id ?? 12_345, this.now);
    if (task === undefined || task.settled || task.options.timeout === Infinity) return;
    this.#deadlines.set(task, this.now + task.options.timeout + VERDICT_MS);
  }

  /** A worker answers what is first, or what was cancelled behind it. */
  answer(worker: number, which: number, elapsed: number): void {
    const seat = pick(this.#seats, worker);
    const behind = seat.inFlight.slice(1).filter((task) => task.settled);
    const task = which === 0 ? seat.inFlight[0] : (pick(behind, which) ?? seat.inFlight[0]);
    const known = task !== undefined && !task.settled;
    const took = this.scheduler.answered(seat.record, task?.id ?? 12_345, elapsed, this.now);
    expect(took).toBe(known ? task : null);
    if (task === undefined) return;
    seat.inFlight.splice(seat.inFlight.indexOf(task), 1);
    seat.isHeld = false;
    if (known) this.#settle(task, "done");
    this.#look(seat);
  }

  /** What a worker runs has failed, and may start again. */
  fail(worker: number): void {
    const seat = pick(this.#seats, worker);
    const task = seat.inFlight[0];
    if (task === undefined || task.settled) return;
    expect(this.scheduler.answered(seat.record, task.id, 1, this.now, "failed")).toBe(task);
    seat.inFlight.shift();
    seat.isHeld = false;
    this.#park(task);
    this.#look(seat);
  }

  #park(task: Task): void {
    this.scheduler.park(task);
    expect([task.state, task.record]).toEqual(["queued", null]);
    this.#deadlines.delete(task);
    this.#parked.push(task);
  }

  /** A parked task starts again. */
  startAgain(which: number): void {
    const task = pick(this.#parked, which);
    if (task === undefined) return;
    this.#parked.splice(this.#parked.indexOf(task), 1);
    this.scheduler.submitAgain(task);
    this.#takeBack([task]);
  }

  /** A worker answers a task it was never sent. */
  answerNonsense(worker: number): void {
    const { record } = pick(this.#seats, worker);
    expect(this.scheduler.answered(record, 4_000_000_000, 1, this.now)).toBeNull();
  }

  cancel(which: number): void {
    const task = pick(this.tasks, which);
    if (task === undefined) return;
    const seat = this.#seats.find(({ inFlight }) => inFlight.includes(task));
    const expected = this.#settled.has(task) ? "settled" : seat ? "interrupt" : "dropped";
    expect(this.scheduler.cancel(task, this.now)).toBe(expected);
    if (expected === "settled") return;
    const own = this.#pins.get(task);
    if (own?.pinned.includes(task)) own.isHeld = false;
    for (const list of [this.#queue, this.#parked, own?.pinned ?? []]) {
      if (list.includes(task)) list.splice(list.indexOf(task), 1);
    }
    this.#settle(task, "cancelled");
    if (seat?.inFlight[0] === task) this.#look(seat);
  }

  due(ms: number): void {
    this.now += ms;
    const expected = new Set<string>();
    for (const seat of this.#seats) {
      const head = seat.inFlight[0];
      if (head?.settled && !seat.reported && seat.since + STUCK_MS <= this.now) {
        expected.add(`stuck ${seat.record.index}`);
        seat.reported = true;
      }
      if (seat.lateAt <= this.now) {
        expected.add(`late ${seat.record.index}`);
        seat.lateAt = Infinity;
      }
      if (seat.retiredAt !== null && seat.retiredAt + STUCK_MS <= this.now) {
        expected.add(`stuck ${seat.record.index}`);
        seat.retiredAt = null;
      }
    }
    for (const [task, time] of this.#deadlines) {
      if (time <= this.now) expected.add(`expired ${task.order}`);
    }
    const verdicts = this.scheduler.due(this.now);
    const said = verdicts.map((verdict) => nameOf(verdict)).toSorted();
    expect(said).toEqual([...expected].toSorted());
    for (const verdict of verdicts) {
      const seat = this.#seats.find(({ record }) => record === verdict.worker)!;
      if (verdict.kind === "late") expect(seat.state).toBe("starting");
      else expect(isSpent(seat) || seat.inFlight[0]!.settled).toBeTrue();
      if (verdict.kind !== "expired") continue;
      expect(seat.inFlight[0]).toBe(verdict.task);
      if (verdict.task.order % 2 === 0) this.#settle(verdict.task, "failed");
      else {
        this.#park(verdict.task);
        seat.inFlight[0] = seat.record.inFlight.at(0)!;
        expect([seat.inFlight[0].id, seat.inFlight[0].settled]).toEqual([verdict.task.id, true]);
      }
      this.#look(seat);
    }
    expect(this.scheduler.due(this.now)).toEqual([]);
  }

  /** A worker is gone; `begun` says how much is known: nothing, or how many it had begun, or a stale number. */
  lose(worker: number, begun: number | "unknown" | "stale"): void {
    const seat = pick(this.#seats, worker);
    seat.retiredAt = null;
    seat.recalled = false;
    seat.lateAt = Infinity;
    if (seat.state === "gone") {
      expect(this.scheduler.requeue.lose(seat.record)).toEqual([]);
      return;
    }
    const inFlight = seat.inFlight.splice(0);
    const count = begun === "unknown" ? 1 : begun === "stale" ? 0 : begun % (inFlight.length + 1);
    const told =
      begun === "unknown" ? undefined : begun === "stale" ? 12_345 : (inFlight[count - 1]?.id ?? 0);
    const lost = inFlight.slice(0, count).filter((task) => !task.settled);
    const back = inFlight.slice(count).filter((task) => !task.settled);
    expect(this.scheduler.requeue.lose(seat.record, told)).toEqual(lost);
    for (const task of back) expect(task.state).toBe("queued");
    seat.state = "gone";
    for (const task of lost) {
      if (++task.losses > task.options.retries) this.#settle(task, "failed");
      else {
        this.scheduler.submitAgain(task);
        back.push(task);
      }
    }
    this.#takeBack(back);
  }

  recall(worker: number): void {
    const seat = pick(this.#seats, worker);
    if (seat.state !== "serving" || seat.recalled || seat.inFlight.length === 0) return;
    this.scheduler.recall(seat.record);
    seat.recalled = true;
  }

  /** It is certain how far a recalled worker has begun what is in flight: so many of them, or nothing. */
  takeBack(worker: number, which: number, elapsed: number): void {
    const seat = pick(this.#seats, worker);
    if (!seat.recalled) return;
    const count = which % (seat.inFlight.length + 1);
    const last = seat.inFlight[count - 1];
    const others = seat.inFlight
      .slice(count)
      .filter((task) => !task.settled && !this.#pins.has(task));
    expect(this.scheduler.requeue.heldBy(seat.record, count) > 0).toBe(others.length > 0);
    this.scheduler.requeue.reclaim(seat.record, last?.id ?? 0, elapsed);
    if (last !== undefined && !last.settled && elapsed >= SHORT_US) {
      expect(last.fn.expected).toBeGreaterThanOrEqual(SHORT_US);
    }
    const back = seat.inFlight.splice(count);
    seat.left += back.length;
    this.#takeBack(back.filter((task) => !task.settled));
  }

  /** What a worker that does not serve yet has begun can be seen, or cannot. */
  see(worker: number, isSeen: boolean): void {
    const { state, record } = pick(this.#seats, worker);
    if (state === "starting") record.isSeen = isSeen;
  }

  /** The worker knows of it. */
  resume(worker: number): void {
    const seat = pick(this.#seats, worker);
    this.scheduler.acknowledged(seat.record);
    if (seat.recalled) seat.isHeld = false;
    seat.recalled = false;
  }

  #takeBack(tasks: readonly Task[]): void {
    for (const task of tasks) {
      expect([task.state, task.record]).toEqual(["queued", null]);
      this.#deadlines.delete(task);
      const own = this.#pins.get(task);
      if (own === undefined) this.#queue.push(task);
      else own.pinned.push(task);
    }
  }

  /** Puts another one in the place of one that is gone, which is late after `ms`. */
  replace(worker: number, ms = Infinity): void {
    const seat = pick(this.#seats, worker);
    if (seat.state !== "gone") return;
    const { index } = seat.record;
    const lateAt = this.now + ms;
    const record = this.scheduler.replace(seat.record, lateAt);
    expect(record.index).toBe(index);
    expect(this.scheduler.stateOf(record)).toBe("starting");
    Object.assign(seat, { ...newSeat(record), pinned: seat.pinned, lateAt });
  }

  /** Serves until nothing is left to do. */
  finish(): void {
    for (let i = 0; i < this.#seats.length; i++) {
      this.replace(i);
      this.ready(i);
    }
    while (this.#parked.length > 0) this.startAgain(0);
    for (let steps = 0; this.#settled.size < this.tasks.length; steps++) {
      expect(steps).toBeLessThan(10 * this.tasks.length + 10);
      while (this.next());
      for (const [i, seat] of this.#seats.entries()) {
        this.answer(i, 0, 1);
        this.resume(i);
        if (!isSpent(seat) || seat.inFlight.length > 0) continue;
        this.lose(i, "unknown");
        this.replace(i);
        this.ready(i);
      }
      this.check();
    }
  }

  drain(): void {
    const left = this.tasks.filter((task) => !this.#settled.has(task));
    const running = left.filter((task) => task.state === "running");
    const drained = this.scheduler.drain();
    expect(new Set(drained)).toEqual(new Set(left));
    expect(drained.length).toBe(left.length);
    // A running task has a worker to be told of it; the others have none.
    expect(drained.filter(({ record }) => record !== null).length).toBe(running.length);
    for (const task of drained) this.#settle(task, "cancelled");
    this.#queue.length = 0;
    this.#parked = [];
    for (const seat of this.#seats) Object.assign(seat, { pinned: [], isHeld: false });
    expect(this.scheduler.queued).toBe(0);
    expect(this.scheduler.next(this.now)).toBeNull();
  }

  /** What waits is cancelled, what runs goes on. */
  drainQueue(): void {
    const waiting = this.tasks.filter((task) => task.state === "queued");
    const drained = this.scheduler.drainQueue();
    expect(new Set(drained)).toEqual(new Set(waiting));
    expect(drained.length).toBe(waiting.length);
    for (const task of drained) this.#settle(task, "cancelled");
    this.#queue.length = 0;
    this.#parked = [];
    for (const seat of this.#seats) Object.assign(seat, { pinned: [], isHeld: false });
    expect(this.scheduler.queued).toBe(0);
  }

  /** What holds after every deed. */
  check(): void {
    const { scheduler } = this;
    const pinned = sum(this.#seats.map(({ pinned }) => pinned.length));
    const waiting = this.#queue.length + this.#parked.length + pinned;
    const running = this.#seats.flatMap(({ inFlight }) => inFlight.filter((t) => !t.settled));
    expect(scheduler.queued).toBe(waiting);
    expect(waiting + running.length + this.#settled.size).toBe(this.tasks.length);
    expect(scheduler.sets.hasIdle).toBe(this.#seats.some((seat) => isIdle(seat)));
    for (const time of this.#deadlines.values()) {
      expect(scheduler.nextDeadline).toBeLessThanOrEqual(time);
    }
    for (const seat of this.#seats) {
      const { record } = seat;
      expect(scheduler.stateOf(record)).toBe(stateOf(seat));
      expect([...record.inFlight]).toEqual(seat.inFlight);
      expect(record.hasPinned).toBe(seat.pinned.length > 0);
      expect(record.pinned?.next()).toBe(mostUrgent(seat.pinned));
      expect(scheduler.sets.pinnedIdle.has(record)).toBe(isIdle(seat) && record.hasPinned);
      expect(record.costs.length).toBe(seat.inFlight.length);
      for (const cost of record.costs) expect(cost).toBeGreaterThan(0);
      const load = sum([...record.costs]);
      if (load === Infinity) expect(record.load).toBe(Infinity);
      else expect(Math.abs(record.load - load)).toBeLessThanOrEqual(1e-9 * (1 + load));
    }
  }

  allSettled(): boolean {
    return this.tasks.every((task) => this.#settled.has(task) && task.settled);
  }

  #settle(task: Task, state: "done" | "failed" | "cancelled"): void {
    expect(this.#settled.has(task)).toBeFalse();
    expect(task.state).toBe(state);
    this.#settled.add(task);
    this.#deadlines.delete(task);
  }

  /** The clock of an overdue worker starts anew with each sign of life. */
  #look(seat: Seat): void {
    if (!seat.inFlight[0]?.settled) return;
    seat.since = this.now;
    seat.reported = false;
  }
}

function mostUrgent(tasks: readonly Task[]): Task | undefined {
  let best: Task | undefined;
  for (const task of tasks) if (best === undefined || before(task, best)) best = task;
  return best;
}

/** Whether a task of a worker's own comes before the first that any may take. */
function isDue(own: Task, urgent: Task | undefined): boolean {
  return urgent === undefined || before(own, urgent);
}

function newSeat(record: WorkerRecord): Seat {
  return {
    record,
    state: "starting",
    inFlight: [],
    pinned: [],
    since: 0,
    reported: false,
    left: Infinity,
    retiredAt: null,
    recalled: false,
    isHeld: false,
    lateAt: Infinity,
  };
}

/** Whether it owes an answer before it is sent anything. */
function isOverdue({ state, inFlight, recalled }: Seat): boolean {
  return state === "serving" && (recalled || (inFlight[0]?.settled ?? false));
}

function isIdle(seat: Seat): boolean {
  return seat.state === "serving" && seat.inFlight.length === 0 && seat.left > 0 && !seat.recalled;
}

/** Whether it has had all the tasks it may have. */
function isSpent(seat: Seat): boolean {
  return seat.state === "serving" && seat.left <= 0 && !isOverdue(seat);
}

/** Whether more has to be sent behind what it has: one that was full is filled again from half on. */
function isOpen(seat: Seat): boolean {
  if (seat.state !== "serving" || isIdle(seat) || isOverdue(seat)) return false;
  if (!seat.record.isSeen) return false; // it may be
  if (seat.left <= 0) return false;
  if (!seat.inFlight.every(({ fn }) => fn.expected < SHORT_US)) return false;
  // Costs are those of the time of sending: as they are now they may be higher, and that will do too.
  const now = sum(seat.inFlight.map(({ fn }) => Math.max(fn.expected, 0.25)));
  return Math.max(now, sum([...seat.record.costs])) < SHORT_US / 2 - 1e-6;
}

function stateOf(seat: Seat): ReturnType<Scheduler["stateOf"]> {
  if (seat.state !== "serving") return seat.state;
  if (isSpent(seat) && seat.inFlight.length === 0) return "starting";
  const isHeld = seat.inFlight.length > 0 && !seat.inFlight[0]!.settled;
  return isOverdue(seat) && !isHeld ? "overdue" : isIdle(seat) ? "idle" : "busy";
}

function mayWait({ fn, options }: Task): boolean {
  const { timeout, retries, signal } = options;
  return fn.expected < SHORT_US && timeout === Infinity && retries === 0 && signal === null;
}

function before(a: Task, b: Task): boolean {
  return a.priority < b.priority || (a.priority === b.priority && a.order < b.order);
}

function nameOf(verdict: Verdict): string {
  if (verdict.kind === "expired") return `expired ${verdict.task.order}`;
  return `${verdict.kind} ${verdict.worker.index}`;
}

function sum(numbers: readonly number[]): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

/** An element by a number of any size; undefined of an empty list alone. */
function pick<T>(list: readonly T[], which: number): T {
  return list[which % list.length] as T;
}
