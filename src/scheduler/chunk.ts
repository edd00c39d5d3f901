import { distance } from "../wire/task-id.ts";
import type { KnownFunction } from "./estimates.ts";
import { type Payload, Task, type TaskOptions, type Waiter } from "./task.ts";

/** Hears of the end of each item of a map, once. */
export interface ItemSink {
  /** An item's call has returned. */
  done(index: number, value: unknown): void;
  /** The calls of consecutive items have returned. */
  doneAll(index: number, values: readonly unknown[]): void;
  /** `count` calls from `index` on have failed, all with that error. */
  failed(index: number, count: number, error: unknown): void;
  /** Calls of `count` items have taken `elapsed` µs. */
  took(count: number, elapsed: number): void;
  /** A chunk was cut: this part of it is a task of its own from now on. */
  split(part: Chunk): void;
}

/** The items of a chunk: of each its payload, or, of primitive values, the values themselves. */
export type Items =
  | { readonly payloads: readonly Payload[]; readonly values: null }
  | { readonly payloads: null; readonly values: readonly unknown[] };

/**
 * Items of a map that travel together. For the scheduler they are one task, with the order of the
 * first; on the worker each is a call of its own, with a number of its own. Their answers come in
 * their order. A chunk of one item is a task as any other.
 */
export class Chunk extends Task implements Waiter {
  /** The place of its first item in the map. */
  readonly index: number;
  readonly sink: ItemSink;
  items: Items;
  /** How many of its items are answered: the first ones. */
  answered = 0;
  readonly promise = null;
  #count: number;

  constructor(
    order: number,
    fn: KnownFunction,
    options: TaskOptions,
    sink: ItemSink,
    index: number,
    items: Items,
  ) {
    super(order, fn, options);
    this.sink = sink;
    this.index = index;
    this.items = items;
    this.#count = (items.values ?? items.payloads).length;
    // A call of one item is sent as any other is.
    if (this.#count === 1) this.payload = payloadOf(items, index);
    this.waiter = this;
  }

  override get count(): number {
    return this.#count;
  }

  /** Without a waiter all calls that are not answered have become other chunks. */
  override get left(): number {
    return this.waiter === null ? 0 : this.#count - this.answered;
  }

  override offsetOf(id: number): number {
    const offset = distance(this.id, id);
    return offset < this.#count ? offset : -1;
  }

  /** `calls` of its calls are answered, from `id` on. True if all are by now. */
  answer(id: number, calls: number): boolean {
    this.answered = Math.min(this.#count, this.offsetOf(id) + calls);
    return this.answered === this.#count;
  }

  /** Cuts it at these offsets, in their order. Its parts in order; it is the first itself. */
  cutAt(...offsets: number[]): Chunk[] {
    const parts: Chunk[] = [];
    for (const offset of offsets.reverse()) {
      if (offset > 0 && offset < this.#count) parts.unshift(this.splitAt(offset));
    }
    return [this, ...parts];
  }

  /** One of its calls, for messages. */
  callAt(offset: number): ShownCall {
    const { order, fn, items, index } = this;
    return { order: order + offset, fn, losses: 0, payload: payloadOf(items, index, offset) };
  }

  /** Takes off the items from `offset` on: a chunk of its own, which is queued. */
  splitAt(offset: number): Chunk {
    const { order, fn, options, sink, index, items } = this;
    const rest = new Chunk(order + offset, fn, options, sink, index + offset, cut(items, offset));
    rest.outcome = this.outcome;
    this.items = cut(items, 0, offset);
    this.#count = offset;
    if (offset === 1) this.payload = payloadOf(this.items, index);
    return rest;
  }

  /** For a chunk of one item; of more the receiver says how long each took. */
  override ran(us: number): void {
    super.ran(us);
    if (this.#count === 1) this.sink.took(1, us);
  }

  /** For a chunk of one item: its call has returned. */
  resolve(value: unknown): void {
    if (this.#count === 1) this.sink.done(this.index, value);
  }

  /** Its items that are not answered have failed. */
  reject(error: unknown): void {
    const { answered } = this;
    this.sink.failed(this.index + answered, this.#count - answered, error);
  }
}

/** Whether a task is sent as several calls, and not as one list of them. */
export function isSentOneByOne(task: Task): task is Chunk {
  return task.count > 1 && (task as Chunk).items.payloads !== null;
}

/** Whether calls of a chunk have been answered, and others have not. */
export function isUnderWay(task: Task): boolean {
  return task.count > 1 && (task as Chunk).answered > 0;
}

/** The encoded arguments of all calls of a task that are kept. */
export function payloadsOf(task: Task): readonly Payload[] {
  if (task.count > 1) return (task as Chunk).items.payloads ?? [];
  return task.payload === null ? [] : [task.payload];
}

/** A call, as messages show it. */
export interface ShownCall {
  readonly order: number;
  readonly fn: KnownFunction;
  readonly payload: Payload | null;
  readonly losses: number;
}

/** The arguments of a call; without `offset` of the first. */
function payloadOf({ payloads, values }: Items, index: number, offset = 0): Payload {
  return payloads === null ? [values[offset], index + offset] : payloads[offset]!;
}

function cut({ payloads, values }: Items, from: number, to?: number): Items {
  if (payloads !== null) return { payloads: payloads.slice(from, to), values: null };
  return { payloads: null, values: values.slice(from, to) };
}
