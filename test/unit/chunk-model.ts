import { expect } from "bun:test";
import { Chunk, type Items, type ItemSink } from "../../src/scheduler/chunk.ts";
import { Scheduler } from "../../src/scheduler/scheduler.ts";
import { DEFAULT_TASK, type TaskOptions } from "../../src/scheduler/task.ts";
import type { WorkerRecord } from "../../src/scheduler/worker-record.ts";
import { idOf } from "../../src/wire/task-id.ts";
import type { Random } from "../fuzz/random.ts";
import { newFunction } from "./scheduler-model.ts";

/** A call, as the worker that was sent it knows it. */
interface Call {
  readonly id: number;
  readonly index: number;
}

/** A worker: calls that it has not begun, the one that it runs, and those whose answers are not sent. */
interface Seat {
  record: WorkerRecord;
  queue: Call[];
  begun: Call | null;
  done: Call[];
  /** The number of the call that it has begun last, which it may report until it is known to be idle. */
  last: number;
  isRecalled: boolean;
}

/** How a map's item ended. */
type End = "done" | "failed" | "lost" | "cancelled";

/**
 * A scheduler with chunks, workers that run their calls one by one, and what the controller does
 * with the answers. Whatever happens in whichever order: each item ends once, and starts again only
 * where its answer, or its worker, was lost.
 */
export class ChunkModel implements ItemSink {
  readonly ends = new Map<number, End>();
  readonly runs = new Map<number, number>();
  /** Items whose answer was lost with a worker, though it had not run them last. */
  readonly #excused = new Set<number>();
  readonly #charged = new Map<number, number>();
  readonly #scheduler = new Scheduler();
  readonly #seats: Seat[];
  readonly #chunks: Chunk[] = [];
  readonly #fn = newFunction(1, 1);
  readonly #random: Random;
  readonly #retries: number;
  #order: number;
  #items = 0;
  #pending = 0;
  #now = 0;
  /** What becomes of the items of a task that fails. */
  #end: End = "failed";

  constructor(random: Random, workers: number, order: number) {
    this.#random = random;
    this.#order = order;
    this.#retries = random.below(3);
    this.#scheduler.requeue.owner = {
      added: (part) => {
        this.#pending++;
        part.sink.split(part);
      },
      ended: (chunk) => {
        chunk.waiter = null;
        this.#pending--;
      },
    };
    this.#seats = Array.from({ length: workers }, () => newSeat(this.#scheduler.add()));
    for (const { record } of this.#seats) this.#scheduler.ready(record);
  }

  done(index: number): void {
    this.#finish(index, "done");
  }

  doneAll(index: number, values: readonly unknown[]): void {
    for (let i = 0; i < values.length; i++) this.done(index + i);
  }

  failed(index: number, count: number): void {
    for (let i = index; i < index + count; i++) this.#finish(i, this.#end);
  }

  took(): void {}

  split(part: Chunk): void {
    this.#chunks.push(part);
  }

  submit(): void {
    const count = 1 + this.#random.below(this.#random.oneIn(2) ? 3 : 30);
    const options: TaskOptions = {
      ...DEFAULT_TASK,
      ...{ priority: this.#random.below(2), retries: this.#retries },
    };
    const values = Array.from({ length: count }, (_, i) => this.#items + i);
    const items: Items = this.#random.oneIn(2)
      ? { values, payloads: null }
      : { values: null, payloads: values.map((value) => [value, value]) };
    const chunk = new Chunk(this.#order, this.#fn, options, this, this.#items, items);
    this.#order += count;
    this.#items += count;
    this.#pending++;
    this.#chunks.push(chunk);
    this.#scheduler.submit(chunk);
  }

  /** Sends what can be sent. */
  dispatch(): void {
    for (;;) {
      const task = this.#scheduler.next(this.#now++) as Chunk | null;
      if (task === null) return;
      const { queue } = this.#seats.find(({ record }) => record === task.record)!;
      for (let i = 0; i < task.count; i++) {
        expect(indexOf(task, i)).toBe(task.index + i);
        queue.push({ id: idOf(task.order + i), index: task.index + i });
      }
    }
  }

  /** A worker goes on by so many calls. */
  work(): void {
    const seat = this.#pick();
    for (let steps = this.#random.below(12); steps > 0; steps--) {
      if (seat.begun !== null) seat.done.push(seat.begun);
      seat.begun = seat.queue.shift() ?? null;
      if (seat.begun === null) return;
      const { id, index } = seat.begun;
      seat.last = id;
      this.runs.set(index, (this.runs.get(index) ?? 0) + 1);
      if (!this.#random.oneIn(8)) continue;
      // It looks for messages between two calls.
      seat.done.push(seat.begun);
      seat.begun = null;
      return;
    }
  }

  /** A worker sends its answers: values together, as far as they follow each other. */
  answer(seat = this.#pick()): void {
    const { record, done } = seat;
    while (done.length > 0) {
      let count = 1;
      while (done[count]?.id === idOf(done[0]!.id + count) && !this.#random.oneIn(8)) count++;
      // A message holds calls of one list.
      const [first] = done as [Call];
      const held = record.inFlight.find((task) => task.offsetOf(first.id) >= 0);
      if (held !== undefined) count = Math.min(count, held.count - held.offsetOf(first.id));
      this.#take(record, first, count);
      done.splice(0, count);
    }
  }

  /** As the controller does. */
  #take(record: WorkerRecord, { id }: Call, count: number): void {
    const fails = count === 1 && this.#random.oneIn(4);
    const to = fails ? "failed" : "done";
    const task = this.#scheduler.answered(record, id, 1, this.#now++, to, count) as Chunk | null;
    if (task === null) return;
    const isLast = task.settled;
    const from = task.index + (task.count === 1 ? 1 : task.answered) - count;
    this.#end = "failed";
    if (fails) task.sink.failed(from, 1, null);
    else for (let i = 0; i < count; i++) task.sink.done(from + i, null);
    if (isLast) this.#pending--;
  }

  /** A worker dies, which is known to have been at a call, or is not. */
  lose(): void {
    const seat = this.#pick();
    const { record, begun, done } = seat;
    const at = begun ?? done.at(-1);
    const isKnown = this.#random.below(4) > 0;
    for (const call of done) this.#excused.add(call.index);
    const lost = this.#scheduler.requeue.lose(record, isKnown ? (at?.id ?? 0) : undefined);
    expect(lost.length).toBeLessThanOrEqual(1);
    for (const task of lost) {
      expect(task.count).toBe(1);
      const { index } = task as Chunk;
      if (isKnown) expect(index).toBe(at!.index);
      this.#charged.set(index, (this.#charged.get(index) ?? 0) + 1);
      if (++task.losses <= task.options.retries) this.#scheduler.submitAgain(task);
      else this.#settle(task as Chunk, "lost");
    }
    // What it ran last may be unknown: then it starts again, and another one was charged.
    if (!isKnown && begun !== null) this.#excused.add(begun.index);
    Object.assign(seat, newSeat(this.#scheduler.replace(record)));
    this.#scheduler.ready(seat.record);
  }

  recall(): void {
    const seat = this.#pick();
    if (seat.isRecalled || seat.record.inFlight.length === 0) return;
    this.#scheduler.recall(seat.record);
    seat.isRecalled = true;
    // Without a call that it is at, all its answers have come before.
    if (seat.begun === null) this.answer(seat);
    const idle = this.#random.oneIn(2) ? 0 : seat.last;
    this.#scheduler.requeue.reclaim(seat.record, seat.begun?.id ?? idle, 1);
    seat.queue = [];
  }

  /** A recalled worker has heard of that. */
  resume(): void {
    const seat = this.#pick();
    if (!seat.isRecalled) return;
    seat.isRecalled = false;
    this.#scheduler.acknowledged(seat.record);
  }

  cancel(): void {
    if (this.#chunks.length === 0) return;
    const chunk = this.#chunks[this.#random.below(this.#chunks.length)]!;
    if (chunk.settled) return;
    const what = this.#scheduler.cancel(chunk, this.#now++);
    expect(what).not.toBe("settled");
    this.#settle(chunk, "cancelled");
    if (what !== "interrupt") return;
    // Its worker drops the calls that it has not begun, and answers for them.
    const seat = this.#seats.find(({ record }) => record === chunk.record)!;
    const dropped = seat.queue.filter(({ id }) => chunk.offsetOf(id) >= 0);
    seat.queue = seat.queue.filter((call) => !dropped.includes(call));
    if (seat.begun === null || chunk.offsetOf(seat.begun.id) < 0) {
      this.answer(seat);
      const last = idOf(chunk.order + chunk.count - 1);
      this.#scheduler.answered(seat.record, last, 0, this.#now++);
      return;
    }
    seat.done.push(seat.begun, ...dropped);
    seat.begun = null;
    this.answer(seat);
  }

  /** Until all is over. */
  finish(): void {
    for (let round = 0; this.#pending > 0; round++) {
      expect(round).toBeLessThan(10_000);
      this.dispatch();
      this.resume();
      this.work();
      this.answer();
    }
    for (const seat of this.#seats) {
      while (seat.begun !== null || seat.queue.length > 0) {
        if (seat.begun !== null) seat.done.push(seat.begun);
        seat.begun = seat.queue.shift() ?? null;
      }
      this.answer(seat);
      expect(seat.record.inFlight.length).toBe(0);
    }
    expect(this.#pending).toBe(0);
    expect(this.#scheduler.queued).toBe(0);
    expect(this.ends.size).toBe(this.#items);
    for (let index = 0; index < this.#items; index++) this.#judge(index);
  }

  /** An item that was run more than once has cost a worker, or its answer was lost with one. */
  #judge(index: number): void {
    const runs = this.runs.get(index) ?? 0;
    const end = this.ends.get(index);
    if (end === "done" || end === "failed") expect(runs).toBeGreaterThan(0);
    if (this.#excused.has(index)) return;
    expect(runs).toBeLessThanOrEqual(1 + (this.#charged.get(index) ?? 0));
    expect(this.#charged.get(index) ?? 0).toBeLessThanOrEqual(1 + this.#retries);
  }

  #settle(chunk: Chunk, end: End): void {
    this.#end = end;
    if (end === "lost") expect(chunk.state).toBe("failed");
    this.#pending--;
    chunk.reject(null);
  }

  #finish(index: number, end: End): void {
    expect(this.ends.get(index)).toBeUndefined();
    this.ends.set(index, end);
  }

  #pick(): Seat {
    return this.#seats[this.#random.below(this.#seats.length)]!;
  }
}

function newSeat(record: WorkerRecord): Seat {
  return { record, queue: [], begun: null, done: [], last: 0, isRecalled: false };
}

/** The item of one of a chunk's calls. */
function indexOf(chunk: Chunk, offset: number): unknown {
  const payload = chunk.count === 1 ? chunk.payload : chunk.callAt(offset).payload;
  return (payload as readonly unknown[])[1];
}
