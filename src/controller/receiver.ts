import { decodeList } from "../codec/lists.ts";
import { decodeThrown } from "../codec/thrown.ts";
import type { Encoded } from "../codec/value.ts";
import { BsyncError } from "../errors.ts";
import { performance } from "../os/natives.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import { ChildTask } from "../scheduler/child-task.ts";
import { Chunk, type ShownCall } from "../scheduler/chunk.ts";
import type { Task } from "../scheduler/task.ts";
import { readGreeting } from "../wire/greeting.ts";
import { Kind } from "../wire/frames.ts";
import { type Frame, readFrames } from "../wire/reader.ts";
import { INITIALIZER } from "../wire/task-id.ts";
import type { Children } from "./children.ts";
import { type Connection, describe } from "./connection.ts";
import type { Reclaimer } from "./reclaimer.ts";
import type { Sharing } from "./sharing.ts";
import type { Supervisor } from "./supervisor.ts";
import type { ValueEncoder } from "./values.ts";
import type { Watch } from "../watch/watch.ts";
import { unknownExit } from "../os/exit.ts";

/** The parts of the pool that the receiver uses. */
interface ReceiverParts {
  readonly scheduler: Scheduler;
  readonly values: ValueEncoder;
  readonly supervisor: Supervisor;
  readonly reclaimer: Reclaimer;
  readonly sharing: Sharing;
  readonly watch: Watch;
}

/** The controller, which settles tasks. */
export interface ReceiverOwner {
  settle(task: Task, state: "done" | "failed", outcome: unknown): void;
  /** A task has thrown. */
  failOrRetry(task: Task, error: unknown): void;
  /** The initializer has failed. */
  break(error: unknown): void;
  /** The tasks that tasks have submitted. */
  children(): Children;
}

/** Reads the frames of workers and acts on each; `sender.ts` is the other direction. */
export class FrameReceiver {
  readonly #parts: ReceiverParts;
  readonly #owner: ReceiverOwner;

  constructor(parts: ReceiverParts, owner: ReceiverOwner) {
    this.#parts = parts;
    this.#owner = owner;
  }

  receive(connection: Connection, bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    try {
      const now = performance.now();
      this.#parts.watch.reads(now);
      readFrames(bytes, length, buffers, (frame) => this.#take(connection, frame, now));
      connection.tally.received(length, buffers, now);
    } catch (error) {
      if (!(error instanceof BsyncError)) throw error;
      connection.link?.kill?.();
      this.#parts.supervisor.lose(connection, unknownExit(error.message));
    }
  }

  #take(connection: Connection, frame: Frame, now: number): void {
    const { kind } = frame;
    if (kind === Kind.Result) return this.#answer(connection, frame, now, "done");
    if (kind === Kind.Failure) return this.#answer(connection, frame, now, "failed");
    if (kind === Kind.Results) return this.#answers(connection, frame, now);
    const { scheduler, values, supervisor, reclaimer, watch } = this.#parts;
    const { record } = connection;
    switch (kind) {
      case Kind.Ready:
        supervisor.onReady(connection, readGreeting(values.decode(frame)));
        return this.#parts.sharing.onMet();
      case Kind.Held:
        return this.#parts.sharing.onHeld(connection, frame);
      case Kind.Started:
        return scheduler.started(record, frame.task, now);
      case Kind.Awaits:
        return record.begun?.awaits(frame.task);
      case Kind.Finished:
        return scheduler.finished(record, frame.task, now);
      case Kind.Report:
        return this.#report(connection, frame);
      case Kind.Usage:
        return connection.tally.use(frame.number, frame.task / 1000);
      case Kind.Closed:
        return supervisor.onClosed(connection);
      case Kind.Recalled:
        if (record.recalled) reclaimer.giveBack(record, frame.task);
        scheduler.acknowledged(record);
        if (record.quota <= 0) supervisor.retire(connection);
        return;
      case Kind.OverMemory:
        scheduler.spend(record);
        return supervisor.retire(connection);
      case Kind.Submit:
      case Kind.SubmitFunction:
      case Kind.SubmitOptions:
      case Kind.SubmitUses:
      case Kind.Suspended:
      case Kind.AwaitsOther:
      case Kind.Withdraw:
      case Kind.Claim:
        return this.#owner.children().receive(connection, frame);
    }
  }

  /** A task says something: a child to its parent. */
  #report(connection: Connection, frame: Frame): void {
    const { watch, values } = this.#parts;
    const task = connection.record.taskAt(frame.task);
    if (task instanceof ChildTask) this.#owner.children().report(connection, task, frame);
    else watch.reports.receive(connection.record, frame, () => values.decode(frame));
  }

  /** The answer of a call; most frames are. */
  #answer(connection: Connection, frame: Frame, now: number, to: "done" | "failed"): void {
    if (frame.task === INITIALIZER) return this.#initialized(connection, frame);
    const { record } = connection;
    const task = this.#parts.scheduler.answered(record, frame.task, frame.number, now, to);
    connection.tally.ran(task, frame.task, frame.number, now);
    if (task !== null && task.count === 1) this.#settleBy(connection, task, frame, to);
    else if (task !== null) this.#settleCall(connection, task as Chunk, frame, now, to);
    this.#parts.watch.begins(record, now);
    connection.hasAnswered = true;
    if (record.quota <= 0) this.#parts.supervisor.retire(connection);
  }

  /** The values of consecutive calls of a chunk. */
  #answers({ record }: Connection, frame: Frame, now: number): void {
    const { format, bytes, start, end, task: id, number: elapsed } = frame;
    const { scheduler, watch } = this.#parts;
    const values = decodeList(format, bytes, start, end);
    const task = scheduler.answered(record, id, elapsed, now, "done", values.length);
    if (!(task instanceof Chunk)) return;
    const { sink, index } = task;
    const from = index + (task.count === 1 ? 1 : task.answered) - values.length;
    watch.items(task, from - index, values.length, elapsed, now);
    if (task.count > 1) sink.took(values.length, elapsed);
    // Asked before the sink hears of them, which may cancel what is left of it.
    const isLast = task.settled;
    // A task whose values were given to its sink settles into nothing more.
    if (isLast) task.waiter = null;
    sink.doneAll(from, values);
    if (isLast) this.#owner.settle(task, "done", undefined);
    watch.begins(record, now);
  }

  /** The answer of one call of a chunk. */
  #settleCall(
    connection: Connection,
    chunk: Chunk,
    frame: Frame,
    now: number,
    to: "done" | "failed",
  ): void {
    const { values, watch } = this.#parts;
    const offset = chunk.offsetOf(frame.task);
    const at = chunk.index + offset;
    chunk.sink.took(1, frame.number);
    const isLast = chunk.settled;
    if (isLast) chunk.waiter = null;
    try {
      if (to === "failed") throw this.#thrown(connection, frame.content, chunk.callAt(offset));
      const value = values.decode(frame);
      watch.item(chunk, offset, frame.number, now);
      chunk.sink.done(at, value);
    } catch (error) {
      watch.item(chunk, offset, frame.number, now, { error });
      chunk.sink.failed(at, 1, error);
    }
    if (isLast) this.#owner.settle(chunk, "done", undefined);
  }

  #settleBy(connection: Connection, task: Task, frame: Frame, to: "done" | "failed"): void {
    if (task instanceof ChildTask && !mayAskRetry(task, to))
      return this.#owner.children().answered(connection, task, frame, to);
    let outcome: unknown;
    try {
      outcome =
        to === "failed"
          ? this.#thrown(connection, frame.content, task)
          : this.#parts.values.decode(frame);
    } catch (error) {
      return this.#owner.settle(task, "failed", error);
    }
    if (to === "failed") this.#owner.failOrRetry(task, outcome);
    else this.#owner.settle(task, to, outcome);
  }

  #initialized(connection: Connection, frame: Frame): void {
    const { supervisor } = this.#parts;
    if (frame.kind === Kind.Result) return supervisor.onInitialized(connection);
    if (supervisor.stateOf(connection) !== "starting") return;
    this.#owner.break(this.#thrown(connection, frame.content));
  }

  /** The value that a task has thrown or, without one, the initializer. */
  #thrown(connection: Connection, content: Encoded, task?: ShownCall): unknown {
    const { values, supervisor } = this.#parts;
    const origin = (): string => {
      const { fn, content } = supervisor.initializer ?? {};
      const call =
        task === undefined
          ? `initializer: ${values.shown(fn?.label ?? "", content ?? null)}`
          : values.callOf(task, task.losses + 1);
      return `${call} on ${describe(connection)}`;
    };
    return decodeThrown(content, values.decoding, origin);
  }
}

/** Whether the controller has to see what a child has failed with. */
function mayAskRetry({ options, losses }: Task, to: "done" | "failed"): boolean {
  return to === "failed" && options.retryOn !== null && losses < options.retries;
}
