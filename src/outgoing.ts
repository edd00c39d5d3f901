import type { Encoded } from "./codec/value.ts";
import { type Connection, tell } from "./connection.ts";
import type { FunctionRecord } from "./function/reference.ts";
import type { Task } from "./task.ts";
import type { Values } from "./values.ts";
import { INITIALIZER, Kind } from "./wire.ts";

/** A function and its encoded arguments, to be called on each worker before anything else. */
export interface InitialCall {
  readonly fn: FunctionRecord;
  readonly content: Encoded;
}

/**
 * What a controller says to its workers. Frames gather in the writer of each connection until `flush`, so
 * that what belongs to one moment shares a message.
 */
export class Outgoing {
  readonly #values: Values;
  /** Connections with frames that were written and not sent. */
  readonly #unsent: Connection[] = [];

  constructor(values: Values) {
    this.#values = values;
  }

  /** Writes the call of a task that the scheduler has given to this worker. */
  call(connection: Connection, task: Task): void {
    const payload = task.payload!;
    // In this order: what `encodePayload` returns is good until the next value is encoded.
    this.#tell(connection, task.fn, this.#values.functionsOf(payload));
    const content = this.#values.encodePayload(payload);
    const timeout = task.isPlain ? Infinity : task.options.timeout;
    this.write(connection, Kind.Call, task.id, task.fn.id, content, timeout, task.losses + 1);
  }

  /** Writes the call of the initializer. */
  initialize(connection: Connection, { fn, content }: InitialCall): void {
    this.#tell(connection, fn, this.#values.functionsOf(content));
    this.write(connection, Kind.Call, INITIALIZER, fn.id, content);
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
  ): void {
    const { writer, link } = connection;
    if (!writer.fits(content)) link?.send(writer);
    writer.write(kind, task, number, content, 0, deadline, attempt);
    if (connection.unsent) return;
    connection.unsent = true;
    this.#unsent.push(connection);
  }

  /** Sends all that was written. */
  flush(): void {
    if (this.#unsent.length === 0) return;
    for (const connection of this.#unsent) {
      connection.unsent = false;
      if (!connection.writer.empty) connection.link?.send(connection.writer);
    }
    this.#unsent.length = 0;
  }

  /** Tells a worker of a function, and of those among its arguments, before the first call. */
  #tell(connection: Connection, fn: FunctionRecord, others: readonly FunctionRecord[]): void {
    if (others.length === 0 && connection.lastCalled === fn.id) return;
    connection.lastCalled = fn.id;
    for (const { id, reference, label } of tell(connection, fn, others)) {
      const told = this.#values.encode({ reference, label }, "function");
      this.write(connection, Kind.Function, id, 0, told);
    }
  }
}
