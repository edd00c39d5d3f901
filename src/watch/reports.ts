import type { Chunk } from "../scheduler/chunk.ts";
import type { OnReport, ReportOrigin, Task } from "../scheduler/task.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";
import type { Frame } from "../wire/reader.ts";
import type { Callbacks } from "./callbacks.ts";

/** Those who listen to one task; few tasks have any. */
const listeners = new WeakMap<Task, Set<{ readonly call: OnReport }>>();

/** Calls `listener` with what the task reports from now on, until that is disposed. */
export function listenTo(task: Task, listener: OnReport): Disposable {
  const entry = { call: listener };
  const all = listeners.get(task) ?? new Set();
  if (!task.settled) listeners.set(task, all.add(entry));
  return { [Symbol.dispose]: () => void all.delete(entry) };
}

/** What tasks say on the way, from the frame to those who listen. */
export class Reports {
  readonly #callbacks: Callbacks;

  constructor(callbacks: Callbacks) {
    this.#callbacks = callbacks;
  }

  /** A report of a task that is settled has come too late; where nobody listens it is not read. */
  receive(record: WorkerRecord, frame: Frame, decode: () => unknown): void {
    // One that waits for its children is not among those in flight, and may have more to say.
    const index = record.indexOf(frame.task);
    const task = index < 0 ? record.parents?.at(frame.task) : record.inFlight.at(index);
    if (task === undefined) return;
    const offset = task.offsetOf(frame.task);
    const from = { worker: record.index, attempt: task.losses + 1 };
    this.hear(task, from, decode, offset);
  }

  /** A task has said something; of several calls the one at that place. */
  hear(
    task: Task,
    { worker, attempt }: Pick<ReportOrigin, "worker" | "attempt">,
    decode: () => unknown,
    offset = 0,
  ): void {
    const { onReport } = task.options;
    const all = listeners.get(task);
    if (task.settled || (onReport === null && all === undefined)) return;
    const from = { id: task.order + offset, worker, attempt, index: indexOf(task, offset) };
    const read = readNow(decode);
    const say = (call: OnReport) =>
      this.#callbacks.post(() => {
        // Whoever has cancelled it wants no more of it. A result that has come since is no reason.
        if (task.state !== "cancelled") call(read(), from);
      });
    if (onReport !== null) say(onReport);
    for (const entry of all ?? [])
      say((value, origin) => all!.has(entry) && entry.call(value, origin));
  }
}

/** Reads the value; what goes wrong is thrown where the value is asked for. */
function readNow(read: () => unknown): () => unknown {
  try {
    const value = read();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** The place of an item in its map; null of other tasks. */
function indexOf(task: Task, offset: number): number | null {
  const place = (task as Partial<Chunk>).index;
  return place === undefined ? null : place + offset;
}
