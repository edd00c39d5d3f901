import type { FunctionRecord } from "../function/record.ts";
import type { PoolLimits, TaskFunction } from "../options.ts";
import { Chunk, type Items, type ItemSink } from "../scheduler/chunk.ts";
import type { Estimates, KnownFunction } from "../scheduler/estimates.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { Payload, Task, TaskOptions } from "../scheduler/task.ts";
import type { Failures } from "./failures.ts";
import type { QueueLimit } from "./queue-limit.ts";
import type { Supervisor } from "./supervisor.ts";
import type { ValueEncoder } from "./values.ts";

/** The parts of the pool that the calls of maps use. */
interface ItemParts {
  readonly scheduler: Scheduler;
  readonly estimates: Estimates;
  readonly values: ValueEncoder;
  readonly supervisor: Supervisor;
  readonly queueLimit: QueueLimit;
  readonly failures: Failures;
  readonly limits: PoolLimits;
}

/** The controller, which counts tasks and settles them. */
export interface ItemsOwner {
  /** Numbers `count` tasks: the order of the first. */
  takeOrders(count: number): number;
  /** Why calls are refused; null where they are not. */
  refusal(fn: FunctionRecord): { readonly error: unknown } | null;
  /** Queues a task. */
  admit(chunk: Chunk): void;
  /** One more task is pending. */
  count(part: Chunk): void;
  cancel(task: Task, reason: unknown): boolean;
  /** A chunk whose calls are all settled is done. */
  settle(chunk: Chunk): void;
}

/** The part of a pool that maps use: it submits calls on items, several as one task. */
export class ItemCalls {
  readonly #parts: ItemParts;
  readonly #owner: ItemsOwner;
  /**
   * Whether several calls may be one task: no worker is to be replaced between two of them, nor to
   * have several under way.
   */
  readonly takesChunks: boolean;
  readonly showsProgress = true;

  constructor(parts: ItemParts, owner: ItemsOwner) {
    this.#parts = parts;
    this.#owner = owner;
    const { tasksPerWorker, memoryPerWorker, concurrency } = parts.limits;
    const areReplaced = tasksPerWorker !== Infinity || memoryPerWorker !== Infinity;
    this.takesChunks = !areReplaced && concurrency === 1;
    parts.scheduler.requeue.owner = {
      added: (part) => {
        owner.count(part);
        part.sink.split(part);
      },
      ended: (chunk) => {
        chunk.waiter = null;
        owner.settle(chunk);
      },
    };
  }

  /** How many workers the pool has. */
  get workers(): number {
    return this.#parts.supervisor.connections.length;
  }

  /** How many tasks the queue takes now; `room` waits for a place. */
  get places(): number {
    return this.#parts.queueLimit.places;
  }

  /** Resolves when the queue takes another task; at once where calls are refused anyway. */
  room(): Promise<void> {
    return this.#parts.queueLimit.room();
  }

  /** Why calls are refused; null where they are not. */
  refusal(fn: FunctionRecord): { readonly error: unknown } | null {
    return this.#owner.refusal(fn);
  }

  /** Names a function that is to be called. */
  recordOf(fn: TaskFunction | string): FunctionRecord {
    return this.#parts.values.recordOf(fn);
  }

  /** What this pool knows of a function. */
  known(fn: FunctionRecord): KnownFunction {
    return this.#parts.estimates.of(fn);
  }

  /** The arguments of a call, as they are at this moment. Throws for values that cannot travel. */
  keep(args: unknown[]): Payload {
    return this.#parts.values.keep(args);
  }

  /** Queues calls on the items from `index` on. Throws where the pool takes no calls. */
  submit(
    fn: KnownFunction,
    options: TaskOptions,
    sink: ItemSink,
    index: number,
    items: Items,
  ): Chunk {
    const refusal = this.refusal(fn);
    if (refusal !== null) throw refusal.error;
    const count = (items.values ?? items.payloads).length;
    const chunk = new Chunk(this.#owner.takeOrders(count), fn, options, sink, index, items);
    this.#owner.admit(chunk);
    return chunk;
  }

  /** The program is told of the failure of a call of `fn`. */
  told(fn: FunctionRecord, error: unknown): void {
    this.#parts.failures.noteTold(fn, error);
  }

  cancel(task: Task, reason: unknown): boolean {
    return this.#owner.cancel(task, reason);
  }
}
