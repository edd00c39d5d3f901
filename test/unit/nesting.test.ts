/** Tasks that wait for tasks they have submitted, as the scheduler sees them; the contract plays them for real. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ChildTask } from "../../src/scheduler/child-task.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { DEFAULT_TASK, Task, type TaskOptions } from "../../src/scheduler/task.ts";
import type { WorkerRecord } from "../../src/scheduler/worker-record.ts";
import { newFunction } from "./scheduler-model.ts";

const FN = newFunction(1);
const OWNER = { settled() {} };

/** A task that has begun: how many children it submits, and how many of them are not settled. */
interface Run {
  readonly task: Task;
  width: number;
  pending: number;
}

/** A worker of the model. */
interface Seat {
  record: WorkerRecord;
  /** What it was sent, and has not begun. */
  queue: Task[];
  active: Run | null;
  readonly suspended: Map<number, Run>;
  /** Suspended tasks that are to hear of the end of a child, the youngest last. */
  ready: Run[];
}

/** Pools whose tasks are trees: each node submits `width` children and waits for them. */
class Model {
  readonly scheduler = new Scheduler();
  readonly seats: Seat[];
  readonly tasks: Task[] = [];
  readonly settled = new Map<Task, string>();
  readonly #depthOf: number;
  readonly #random: (below: number) => number;
  #order = 1;
  #now = 0;

  constructor(workers: number, depth: number, random: (below: number) => number) {
    this.#depthOf = depth;
    this.#random = random;
    this.seats = Array.from({ length: workers }, () => ({
      ...{ record: this.scheduler.add(), queue: [], active: null },
      ...{ suspended: new Map(), ready: [] },
    }));
    for (const { record } of this.seats) this.scheduler.ready(record);
  }

  submit(options: Partial<TaskOptions> = {}, parent: Run | null = null): void {
    const all = { ...DEFAULT_TASK, ...options };
    const task =
      parent === null
        ? new Task(this.#order++, FN, all)
        : new ChildTask(this.#order++, FN, all, of(parent.task), OWNER);
    this.tasks.push(task);
    this.scheduler.submit(task);
  }

  /** One random step; false if there is nothing left to do. */
  step(): boolean {
    this.#dispatch();
    const busy = this.seats.filter(({ active, queue, ready }) => active ?? queue[0] ?? ready[0]);
    if (busy.length === 0) return false;
    const seat = busy[this.#random(busy.length)]!;
    if (seat.active !== null) this.#goOn(seat, seat.active);
    else if (seat.ready.length > 0) this.#resume(seat);
    else this.#begin(seat);
    return true;
  }

  #dispatch(): void {
    for (;;) {
      const task = this.scheduler.next(++this.#now);
      if (task === null) return;
      this.#seatOf(task).queue.push(task);
    }
  }

  #seatOf(task: Task): Seat {
    return this.seats[task.record!.index]!;
  }

  #begin(seat: Seat): void {
    const task = seat.queue.shift()!;
    const depth = task instanceof ChildTask ? task.depth : 0;
    const width = depth < this.#depthOf ? this.#random(4) : 0;
    seat.active = { task, width, pending: 0 };
  }

  #goOn(seat: Seat, run: Run): void {
    if (run.width > 0) {
      run.pending = run.width;
      for (; run.width > 0; run.width--) this.submit({}, run);
    }
    if (run.pending > 0) {
      seat.active = null;
      seat.suspended.set(run.task.id, run);
      return this.scheduler.nesting.suspend(seat.record, run.task.id);
    }
    seat.active = null;
    const { id } = run.task;
    const answered = this.scheduler.answered(seat.record, id, 100, this.#now);
    if (answered !== null) this.settle(answered, "done");
  }

  #resume(seat: Seat): void {
    seat.active = seat.ready.pop()!;
    seat.suspended.delete(seat.active.task.id);
  }

  /** A task has come to its end: its parent, where it waits, goes on. */
  settle(task: Task, how: string): void {
    expect(this.settled.has(task)).toBe(false);
    this.settled.set(task, how);
    if (!(task instanceof ChildTask) || task.parent.settled) return;
    const seat = this.#seatOf(task.parent);
    if (seat.active?.task === task.parent) seat.active.pending--;
    const run = seat.suspended.get(task.parentId);
    if (run === undefined) return;
    run.pending--;
    this.scheduler.nesting.resume(seat.record, task.parentId);
    if (!seat.ready.includes(run)) seat.ready.push(run);
  }

  /** A worker ends; what it had begun is lost, and with it what that had submitted. */
  lose(index: number): void {
    const seat = this.seats[index]!;
    const lost = this.scheduler.requeue.lose(seat.record, seat.active?.task.id ?? 0);
    const begun = [...seat.suspended.values(), ...(seat.active === null ? [] : [seat.active])];
    const wanted = begun.map(({ task }) => task).filter((task) => !this.settled.has(task));
    expect(new Set(lost)).toEqual(new Set(wanted));
    seat.queue = [];
    seat.active = null;
    seat.suspended.clear();
    seat.ready = [];
    for (const task of lost) this.settle(task, "lost");
    this.#cancelBelow(lost);
    seat.record = this.scheduler.replace(seat.record);
    this.scheduler.ready(seat.record);
  }

  #cancelBelow(parents: readonly Task[]): void {
    for (const task of this.tasks) {
      if (!(task instanceof ChildTask) || !parents.includes(task.parent)) continue;
      if (this.settled.has(task)) continue;
      const what = this.scheduler.cancel(task, this.#now);
      expect(what).not.toBe("settled");
      if (what === "interrupt") this.#abandon(task);
      this.settle(task, "cancelled");
      this.#cancelBelow([task]);
    }
  }

  /** The worker of a cancelled task lets it go, and answers it. */
  #abandon(task: Task): void {
    const seat = this.#seatOf(task);
    const isActive = seat.active?.task === task;
    const isQueued = seat.queue.includes(task);
    seat.queue = seat.queue.filter((one) => one !== task);
    seat.suspended.delete(task.id);
    seat.ready = seat.ready.filter((run) => run.task !== task);
    if (isActive) seat.active = null;
    if (isActive || isQueued || seat.record.indexOf(task.id) >= 0)
      this.scheduler.answered(seat.record, task.id, 0, this.#now);
  }
}

function of(parent: Task) {
  return { parent, parentId: parent.id, number: 1, family: OWNER };
}

test("whatever happens: every task settles once, and nothing is left on a worker", () => {
  const steps = fc.infiniteStream(fc.nat(1_000_000));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.nat(3), fc.nat(6), steps, (...drawn) => {
      const [workers, depth, losses, numbers] = drawn;
      const random = (below: number) => numbers.next().value! % below;
      const model = new Model(workers, depth, random);
      const roots = 1 + random(4);
      for (let i = 0; i < roots; i++) model.submit({ priority: random(2) });
      let left = losses;
      while (model.step()) {
        if (left > 0 && random(20) === 0) {
          left--;
          model.lose(random(workers));
        }
      }
      expect(model.tasks.filter((task) => !model.settled.has(task))).toEqual([]);
      for (const { record } of model.seats) {
        expect([record.inFlight.length, record.parents?.suspended ?? 0]).toEqual([0, 0]);
        expect(model.scheduler.stateOf(record)).toBe("idle");
      }
    }),
    { numRuns: 300 },
  );
});

test("among equal priorities the deepest start first, siblings in order, urgent ones before all", () => {
  const scheduler = new Scheduler();
  const worker = scheduler.add();
  scheduler.ready(worker);
  const root = new Task(1, FN, DEFAULT_TASK);
  scheduler.submit(root);
  expect(scheduler.next(0)).toBe(root);
  const other = new Task(2, FN, DEFAULT_TASK);
  const first = new ChildTask(3, FN, DEFAULT_TASK, of(root), OWNER);
  const second = new ChildTask(4, FN, DEFAULT_TASK, of(root), OWNER);
  const below = new ChildTask(5, FN, DEFAULT_TASK, of(first), OWNER);
  const urgent = new Task(6, FN, { ...DEFAULT_TASK, priority: -1 });
  for (const task of [other, second, first, below, urgent]) scheduler.submit(task);
  scheduler.nesting.suspend(worker, root.id);
  const started: Task[] = [];
  for (let task = scheduler.next(1); task !== null; task = scheduler.next(1)) {
    started.push(task);
    scheduler.answered(worker, task.id, 100, 1);
  }
  expect(started).toEqual([urgent, below, first, second, other]);
});

test("a worker where a thousand tasks wait begins nothing but children", () => {
  const scheduler = new Scheduler();
  const worker = scheduler.add();
  scheduler.ready(worker);
  const parents = Array.from({ length: 1000 }, (_, i) => new Task(i + 1, FN, DEFAULT_TASK));
  for (const task of parents) scheduler.submit(task);
  for (const task of parents) {
    expect(scheduler.next(0)).toBe(task);
    scheduler.nesting.suspend(worker, task.id);
  }
  const other = new Task(1001, FN, DEFAULT_TASK);
  scheduler.submit(other);
  expect(scheduler.next(0)).toBeNull();
  const child = new ChildTask(1002, FN, { ...DEFAULT_TASK, priority: 1 }, of(parents[0]!), OWNER);
  scheduler.submit(child);
  expect(scheduler.next(0)).toBe(child);
  scheduler.answered(worker, child.id, 100, 0);
  scheduler.nesting.resume(worker, parents[0]!.id);
  scheduler.answered(worker, parents[0]!.id, 100, 0);
  expect(scheduler.next(0)).toBe(other);
});

test("a void word of a wait leaves the task in flight, and the rest of its chunk to others", () => {
  const scheduler = new Scheduler();
  const worker = scheduler.add();
  scheduler.ready(worker);
  const task = new Task(1, FN, DEFAULT_TASK);
  scheduler.submit(task);
  scheduler.next(0);
  scheduler.nesting.suspend(worker, task.id, true);
  expect([...worker.inFlight]).toEqual([task]);
  expect(scheduler.stateOf(worker)).toBe("busy");
});

test("what is short is not sent ahead of a parent that goes on, nor of the children it may submit", () => {
  const scheduler = new Scheduler();
  const worker = scheduler.add();
  scheduler.ready(worker);
  const short = newFunction(2, 1);
  const root = new Task(1, FN, DEFAULT_TASK);
  scheduler.submit(root);
  scheduler.next(0);
  const children = [3, 4].map(
    (order) => new ChildTask(order, short, DEFAULT_TASK, of(root), OWNER),
  );
  const other = new Task(2, short, DEFAULT_TASK);
  for (const task of [other, ...children]) scheduler.submit(task);
  scheduler.nesting.suspend(worker, root.id);
  expect([scheduler.next(1), scheduler.next(1), scheduler.next(1)]).toEqual([...children, null]);
  scheduler.answered(worker, 3, 1, 2);
  scheduler.nesting.resume(worker, root.id);
  expect(scheduler.next(2)).toBeNull();
  scheduler.nesting.suspend(worker, root.id);
  scheduler.answered(worker, 4, 1, 3);
  scheduler.nesting.resume(worker, root.id);
  expect(scheduler.next(3)).toBeNull();
  const third = new ChildTask(5, short, DEFAULT_TASK, of(root), OWNER);
  scheduler.submit(third);
  scheduler.nesting.suspend(worker, root.id);
  expect([scheduler.next(4), scheduler.next(4)]).toEqual([third, null]);
});

test("a child that was settled may hold the thread behind a parent that goes on", () => {
  const scheduler = new Scheduler();
  const worker = scheduler.add();
  scheduler.ready(worker);
  const root = new Task(1, FN, DEFAULT_TASK);
  scheduler.submit(root);
  scheduler.next(0);
  const child = new ChildTask(2, FN, DEFAULT_TASK, of(root), OWNER);
  scheduler.submit(child);
  scheduler.nesting.suspend(worker, root.id);
  expect(scheduler.next(1)).toBe(child);
  scheduler.nesting.resume(worker, root.id);
  expect([...worker.inFlight]).toEqual([root, child]);
  expect(worker.late).toBeNull();
  expect(scheduler.cancel(child, 2)).toBe("interrupt");
  expect(worker.late).toBe(child);
  const moves = [child.id, root.id, undefined, 99].map((at) => worker.hasMovedOn(at));
  expect(moves).toEqual([false, true, false, false]);
  expect(scheduler.due(1e6)).toEqual([{ kind: "stuck", worker }]);
});
