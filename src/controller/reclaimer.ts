import type { Backend } from "../backend/backend.ts";
import { takeIn } from "../link/link.ts";
import { performance } from "../os/natives.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import { Kind } from "../wire/messages.ts";
import { Activity } from "../wire/task-id.ts";
import type { Connection } from "./connection.ts";
import { Recalls } from "./recalls.ts";
import type { FrameSender } from "./sender.ts";
import type { WorkerRecord } from "../scheduler/task.ts";

/** What the reclaimer works with: the pool's own parts. */
interface ReclaimerParts {
  readonly backend: Backend;
  readonly scheduler: Scheduler;
  readonly sender: FrameSender;
  readonly connections: readonly Connection[];
}

/**
 * Takes calls back that a worker was sent and has not begun, so that others may run them. When that
 * is to be done, `recalls.ts` decides, and `liveness.ts`.
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

  /** What a worker was sent and has not begun is recalled. */
  recall(connection: Connection): void {
    const { scheduler, sender } = this.#parts;
    const { record, link } = connection;
    scheduler.recall(record);
    sender.flush();
    sender.write(connection, Kind.Recall, link?.recall?.() ?? 0);
    sender.flush();
  }

  /**
   * A recalled worker begins nothing more. What it has begun it tells, but not before it has sent
   * the answers before that. False where it cannot be told yet what it has begun.
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
   * The rank of a worker has seen that it does not move on from `at`: a recalled one begins nothing
   * behind that.
   */
  onStillAt({ record }: Connection, at: number): void {
    if (record.recalled) this.giveBack(record, at);
  }

  /** Of what a recalled worker was sent all is queued again that lies behind what it is at. */
  giveBack(record: WorkerRecord, at: number): void {
    const isLoading = at === Activity.Loading;
    // What it loads is for the first one, and would have to be loaded elsewhere, too.
    const begun = isLoading ? (record.running?.id ?? Activity.Idle) : at;
    const elapsed = isLoading ? NaN : this.recalls.heldFor(record, performance.now());
    if (record.indexOf(begun) < 0) this.recalls.wasInVain([...record.inFlight]);
    this.#parts.scheduler.reclaim(record, begun, elapsed);
    this.#onReclaimed();
  }
}
