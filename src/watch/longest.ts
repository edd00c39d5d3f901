import type { Task } from "../scheduler/task.ts";

/** How many of the longest calls are kept. */
const KEPT = 5;

/** One of the longest calls. */
export interface LongCall {
  /** The task's number; of a map, that of the first item of its chunk. */
  readonly id: number;
  readonly name: string;
  readonly worker: number;
  readonly us: number;
}

/** The longest calls of a pool. */
export class Longest {
  /** The longest first. */
  readonly calls: LongCall[] = [];
  /** µs above which a call is one of them; no call of some µs is. */
  floor = 5;

  /** A call that took more than `floor`. */
  offer(task: Task, us: number): void {
    const { order, fn, record } = task;
    const at = this.calls.findIndex((call) => call.us < us);
    const call = { id: order, name: fn.label, worker: record?.index ?? 0, us };
    this.calls.splice(at < 0 ? this.calls.length : at, 0, call);
    if (this.calls.length > KEPT) this.calls.pop();
    if (this.calls.length === KEPT) this.floor = this.calls[KEPT - 1]!.us;
  }
}
