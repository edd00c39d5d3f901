import type { Backend } from "../backend/backend.ts";
import { takeIn } from "../link/link.ts";
import { performance } from "../os/natives.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import { Kind } from "../wire/frames.ts";
import { Activity } from "../wire/task-id.ts";
import type { Connection } from "./connection.ts";
import { Recalls } from "./recalls.ts";
import type { FrameSender } from "./sender.ts";
import { payloadsOf } from "../scheduler/chunk.ts";
import type { Task } from "../scheduler/task.ts";
import { pathOf } from "./values.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";

/** The parts of the pool that the reclaimer uses. */
interface ReclaimerParts {
  readonly backend: Backend;
  readonly scheduler: Scheduler;
  readonly sender: FrameSender;
  readonly connections: readonly Connection[];
}

/**
 * Reclaims calls that a worker was sent and has not begun, so that others may run them.
 * `recalls.ts` and `liveness.ts` decide when.
 */
export class Reclaimer {
  readonly recalls: Recalls;
  readonly #parts: ReclaimerParts;
  readonly #onReclaimed: () => void;

  /** `onReclaimed` is called when calls are queued again. */
  constructor(parts: ReclaimerParts, onReclaimed: () => void) {
    this.#parts = parts;
    this.#onReclaimed = onReclaimed;
    this.recalls = new Recalls(parts.scheduler, parts.connections, this);
  }

  /** Recalls the calls that a worker has not begun. */
  recall(connection: Connection): void {
    const { scheduler, sender } = this.#parts;
    const { record, link } = connection;
    scheduler.recall(record);
    sender.flush();
    sender.write(connection, Kind.Recall, link?.recall?.() ?? 0);
    sender.flush();
  }

  /** A task was settled that a worker runs, or holds: it is told so, and begins no more of it. */
  interrupt(connection: Connection, task: Task): void {
    // Its calls may run one after another, and nothing be read meanwhile.
    if (task.count > 1 && !connection.record.recalled)
      this.recalls.recall(connection, performance.now());
    this.#parts.sender.cancel(connection, task);
  }

  /**
   * The memory of a buffer is gone while it is being sent. The worker of its task receives zeros in
   * the place of the missing bytes; the recall keeps it from beginning the task, where it can see
   * recalls. Undefined where no task has the buffer.
   */
  recallTorn(connection: Connection, buffer: Uint8Array): Task | undefined {
    const { record } = connection;
    const found = record.inFlight.find((task) =>
      payloadsOf(task).some((payload) => pathOf(payload, buffer) !== null),
    );
    if (found !== undefined && !record.recalled) this.recall(connection);
    return found;
  }

  /**
   * Reclaims from a recalled worker all behind its reported task. It sends the answers of earlier
   * tasks before it reports that one. False while it is not certain which task it has begun.
   */
  takeBack(connection: Connection): boolean {
    const { record, link } = connection;
    const at = link?.currentTask;
    if (at === undefined) return true;
    takeIn(this.#parts.backend);
    if (!record.recalled) return true;
    const isBegun = record.indexOf(at) >= 0;
    if (!isBegun && !link?.isCaughtUp) return false;
    this.giveBack(record, at);
    return true;
  }

  /**
   * The worker's rank has seen it stay at `at`: if recalled, it begins nothing behind that task.
   */
  onStillAt({ record }: Connection, at: number): void {
    if (record.recalled) this.giveBack(record, at);
  }

  /** Queues a recalled worker's calls again that lie behind the task it is at. */
  giveBack(record: WorkerRecord, at: number): void {
    const isLoading = at === Activity.Loading;
    // It loads for its first call, and any other worker would have to load the same.
    const begun = isLoading ? (record.running?.id ?? Activity.Idle) : at;
    const elapsed = isLoading ? NaN : this.recalls.heldFor(record, performance.now());
    if (record.indexOf(begun) < 0 && !record.begun?.size)
      this.recalls.wasFruitless([...record.inFlight]);
    this.#parts.scheduler.requeue.reclaim(record, begun, elapsed);
    this.#onReclaimed();
  }
}
