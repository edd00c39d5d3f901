import { ValueEncoder } from "../controller/values.ts";
import type { FunctionRecord } from "../function/record.ts";
import type { TaskFunction } from "../options.ts";
import type { Payload, Task, TaskOptions } from "../scheduler/task.ts";
import { type ChildOptions, Kind } from "../wire/frames.ts";
import type { ParentCall } from "./parent-call.ts";
import type { SessionPort } from "./port.ts";

/** Options of children that the controller keeps at a time; the oldest make room for new ones. */
const OPTION_PLACES = 1024;

/** Tasks on their way to the controller, with their functions and options. */
export class Submissions {
  readonly values: ValueEncoder;
  readonly #port: SessionPort;
  readonly #functionsFrom: number;
  readonly #records = new WeakMap<FunctionRecord, FunctionRecord>();
  readonly #defined = new Set<number>();
  /** The places of options, by all that is told of them. */
  readonly #options = new Map<string, number>();

  /** `functionsFrom` is added to this process's numbers of functions. */
  constructor(
    port: SessionPort,
    functionsFrom: number,
    recordOf: (fn: TaskFunction | string) => FunctionRecord,
  ) {
    this.#port = port;
    this.#functionsFrom = functionsFrom;
    this.values = new ValueEncoder((fn) => this.#numbered(recordOf(fn)), port);
    this.values.shares = port.shares;
  }

  /** Writes a task that a call submits, and what the controller does not know of it yet. */
  write({ call }: ParentCall, task: Task, payload: Payload): void {
    const attempt = 1 + this.#placeOf(task.options);
    const functions = this.values.functionsOf(payload);
    for (const record of [task.fn, ...functions]) this.#define(record);
    if (functions.length > 0) {
      const uses = this.values.encode(
        functions.map(({ id }) => id),
        "functions",
      );
      this.#port.write(Kind.SubmitUses, task.order, { content: uses });
    }
    const content = this.values.encodePayload(payload);
    const { order } = task;
    const fields = { number: task.fn.id, content, attempt, order, index: call.id };
    this.#port.write(Kind.Submit, order, fields);
  }

  #define({ id, reference, label }: FunctionRecord): void {
    if (this.#defined.has(id)) return;
    this.#defined.add(id);
    const content = this.values.encode({ id, reference, label }, "function");
    this.#port.write(Kind.SubmitFunction, 0, { content });
  }

  /** The place of a child's options among those that the controller has. */
  #placeOf(options: TaskOptions): number {
    const { timeout, priority, retries, worker } = options;
    const key = `${timeout} ${priority} ${retries} ${worker}`;
    let place = this.#options.get(key);
    if (place !== undefined) return place;
    place = this.#options.size;
    if (place === OPTION_PLACES) {
      const [oldest] = this.#options;
      place = oldest![1];
      this.#options.delete(oldest![0]);
    }
    this.#options.set(key, place);
    const told: ChildOptions = { timeout, priority, retries, worker };
    const content = this.values.encode(told, "options");
    this.#port.write(Kind.SubmitOptions, 0, { content, number: place });
    return place;
  }

  /** A record whose number no other worker has. */
  #numbered(record: FunctionRecord): FunctionRecord {
    let numbered = this.#records.get(record);
    if (numbered === undefined) {
      const { id, label, reference } = record;
      numbered = { id: this.#functionsFrom + id, label, reference };
      this.#records.set(record, numbered);
    }
    return numbered;
  }
}
