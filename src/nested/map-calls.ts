import type { FunctionRecord } from "../function/record.ts";
import type { MapPool } from "../map/map-call.ts";
import type { TaskFunction } from "../options.ts";
import { Promise } from "../os/natives.ts";
import { Chunk, type Items, type ItemSink } from "../scheduler/chunk.ts";
import type { KnownFunction } from "../scheduler/estimates.ts";
import type { Payload, Task, TaskOptions } from "../scheduler/task.ts";
import type { Children } from "./children.ts";
import type { ParentCall } from "./parent-call.ts";

/** The pool of a map that a task has begun: each item is a child of its own. */
export class MapCalls implements MapPool {
  readonly workers: number;
  readonly takesChunks = false;
  readonly places = Infinity;
  readonly #children: Children;
  readonly #parent: ParentCall;
  #isRead = false;

  constructor(children: Children, parent: ParentCall, workers: number) {
    this.#children = children;
    this.#parent = parent;
    this.workers = workers;
  }

  room(): Promise<void> {
    return Promise.resolve();
  }

  refusal(fn: FunctionRecord): { readonly error: unknown } | null {
    return this.#children.refusal(fn, this.#parent);
  }

  recordOf(fn: TaskFunction | string): FunctionRecord {
    return this.#children.values.recordOf(fn);
  }

  known(fn: FunctionRecord): KnownFunction {
    return this.#children.estimates.of(fn);
  }

  keep(args: unknown[]): Payload {
    return this.#children.values.keep(args);
  }

  submit(
    fn: KnownFunction,
    options: TaskOptions,
    sink: ItemSink,
    index: number,
    items: Items,
  ): Chunk {
    const refusal = this.refusal(fn);
    if (refusal !== null) throw refusal.error;
    const item = new Chunk(this.#children.takeNumber(), fn, options, sink, index, items);
    this.#children.send(this.#parent, item, item.payload!);
    return item;
  }

  told(): void {}

  cancel(task: Task, reason: unknown): boolean {
    return this.#children.cancel(task, reason);
  }

  /** The task waits for the map only while it waits for a result. */
  onReading(isRead: boolean): void {
    if (isRead === this.#isRead) return;
    this.#isRead = isRead;
    this.#parent.await(isRead ? 1 : -1);
  }
}
