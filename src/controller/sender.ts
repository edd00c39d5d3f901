import { encodeList } from "../codec/lists.ts";
import type { Encoded } from "../codec/value.ts";
import type { Connection } from "./connection.ts";
import { type FunctionRecord, textWeight } from "../function/record.ts";
import { type Chunk, isSentOneByOne, payloadsOf } from "../scheduler/chunk.ts";
import type { Task } from "../scheduler/task.ts";
import type { ValueEncoder } from "./values.ts";
import { Kind } from "../wire/frames.ts";
import { idOf, INITIALIZER } from "../wire/task-id.ts";

/** A function and its encoded arguments, to be called on each worker before anything else. */
export interface InitialCall {
  readonly fn: FunctionRecord;
  readonly content: Encoded;
}

/**
 * Writes the frames from a controller to its workers. They gather in the writer of each connection
 * until `flush`, so that frames of one moment share a message.
 */
export class FrameSender {
  readonly #values: ValueEncoder;
  /** Connections with frames that were written and not sent. */
  readonly #unsent: Connection[] = [];

  /** Functions that no worker forgets, besides those of calls in flight. */
  kept: () => Iterable<FunctionRecord> = () => [];

  constructor(values: ValueEncoder) {
    this.#values = values;
  }

  /** Writes the call of a task that the scheduler has given to this worker. */
  call(connection: Connection, task: Task): void {
    if (task.count > 1) return this.#calls(connection, task as Chunk);
    const payload = task.payload!;
    // In this order: what `encodePayload` returns is good until the next value is encoded.
    this.#define(connection, task.fn, this.#values.functionsOf(payload));
    const content = this.#values.encodePayload(payload);
    const timeout = task.isPlain ? Infinity : task.options.timeout;
    const attempt = task.losses + 1;
    this.write(connection, Kind.Call, task.id, task.fn.id, content, timeout, attempt, task.order);
  }

  /** Writes the calls of a chunk. */
  #calls(connection: Connection, chunk: Chunk): void {
    const { fn, order, index, items } = chunk;
    if (items.payloads === null) {
      this.#define(connection, fn, []);
      const content = encodeList(items.values);
      this.write(connection, Kind.Calls, chunk.id, fn.id, content, Infinity, 1, order, index);
      return;
    }
    for (const [i, payload] of items.payloads.entries()) {
      this.#define(connection, fn, this.#values.functionsOf(payload));
      const content = this.#values.encodePayload(payload);
      const id = idOf(order + i);
      this.write(connection, Kind.Call, id, fn.id, content, Infinity, 1, order + i);
    }
  }

  /**
   * Tells a worker that a task was settled without it: a list of calls by the first of them; of
   * calls that were sent one by one the last comes first, so that none begins meanwhile.
   */
  cancel(connection: Connection, task: Task): void {
    if (!isSentOneByOne(task)) return this.write(connection, Kind.Cancel, task.id);
    for (let i = task.count - 1; i >= task.answered; i--) {
      this.write(connection, Kind.Cancel, idOf(task.order + i));
    }
  }

  /** Writes the call of the initializer. */
  initialize(connection: Connection, { fn, content }: InitialCall): void {
    this.#define(connection, fn, this.#values.functionsOf(content));
    this.write(connection, Kind.Call, INITIALIZER, fn.id, content, Infinity, 1, 0);
  }

  /** Writes one frame; the fields are those of `MessageWriter.write`. */
  write(
    connection: Connection,
    kind: Kind,
    task: number,
    number = 0,
    content?: Encoded,
    deadline = Infinity,
    attempt = 1,
    order = -1,
    index = -1,
  ): void {
    const { writer, link } = connection;
    if (!writer.fits(content)) link?.send(writer);
    writer.write(kind, task, number, content, deadline, attempt, order, index);
    if (connection.hasUnsent) return;
    connection.hasUnsent = true;
    this.#unsent.push(connection);
  }

  /** Sends all frames that were written. */
  flush(): void {
    if (this.#unsent.length === 0) return;
    for (const connection of this.#unsent) {
      connection.hasUnsent = false;
      if (!connection.writer.empty) connection.link?.send(connection.writer);
    }
    this.#unsent.length = 0;
  }

  /** Sends a worker functions before anything names them. */
  define(connection: Connection, [first, ...others]: readonly FunctionRecord[]): void {
    if (first !== undefined) this.#define(connection, first, others);
  }

  /** Sends a worker a function, and those among its arguments, before the first call. */
  #define(connection: Connection, fn: FunctionRecord, others: readonly FunctionRecord[]): void {
    if (others.length === 0 && connection.lastCalled === fn.id) return;
    const { knownFunctions } = connection;
    if (knownFunctions.isFull) this.#forget(connection);
    for (const record of [fn, ...others]) {
      if (knownFunctions.get(record.id) !== undefined) continue;
      const { id, reference, label } = record;
      this.write(
        connection,
        Kind.Function,
        0,
        0,
        this.#values.encode({ id, reference, label }, "function"),
      );
      knownFunctions.set(id, record);
    }
    connection.lastCalled = fn.id;
  }

  /**
   * A worker forgets functions that it was not called with for long, except those that calls in
   * flight name.
   */
  #forget(connection: Connection): void {
    const { knownFunctions, record } = connection;
    const gone = new Map<number, FunctionRecord>();
    for (const fn of knownFunctions.turn()) gone.set(fn.id, fn);
    const keep = (fn: FunctionRecord) => {
      if (gone.delete(fn.id)) knownFunctions.set(fn.id, fn);
    };
    for (const fn of gone.values()) if (textWeight(fn) === 0) keep(fn);
    for (const task of record.inFlight) {
      keep(task.fn);
      for (const payload of payloadsOf(task)) this.#values.functionsOf(payload).forEach(keep);
    }
    for (const fn of this.kept()) keep(fn);
    connection.lastCalled = 0;
    const numbers = [...gone.keys()];
    if (numbers.length === 0) return;
    this.write(connection, Kind.Forget, 0, 0, this.#values.encode(numbers, "functions"));
  }
}
