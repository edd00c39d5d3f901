import { type Connection, killFor } from "./connection.ts";
import { HELD } from "./lost.ts";
import { clearInterval, performance, setInterval } from "../os/natives.ts";
import { LOOK_MS, LOOKS } from "../os/waits.ts";
import { Activity } from "../wire/task-id.ts";
import type { ControllerEnd } from "../link/link.ts";
import type { WorkerRecord } from "../scheduler/worker-record.ts";

/** What the last look at a connection found. */
interface Seen {
  /** How far it had read its link. */
  read: number | null;
  /** Looks in a row at which it neither began a sent task nor read. */
  idleLooks: number;
  /** `reading` and `received` of its link when last compared, and when either had changed. */
  reading: number | null;
  received: number;
  movedAt: number;
  /** The order of the first task in flight, 0 for none, and at how many looks in a row it was. */
  head: number;
  headLooks: number;
  /** The last task recalled for not being begun, and the looks that it has the next time. */
  fruitless: number;
  looksAllowed: number;
}

/**
 * While tasks are pending, looks periodically for held workers, of two kinds.
 *
 * Some have been sent a task and neither begin it nor read: something that an earlier task left
 * behind blocks their event loop. A process is killed, and so replaced; the tasks it had not begun
 * are queued again. From a rank, which cannot be killed, they are recalled.
 *
 * Others run one call for long while more were sent behind it: these are recalled, too. (Where
 * another worker is idle, that takes some ms: `recalls.ts`.)
 */
export class Liveness {
  readonly #connections: readonly Connection[];
  readonly #isNeeded: () => boolean;
  readonly #onHeld: (connection: Connection) => void;
  readonly #seen = new WeakMap<Connection, Seen>();
  #lastLook = 0;
  #timer: ReturnType<typeof setInterval> | null = null;

  /**
   * Looks at the current members of `connections`, as long as `isNeeded`. `onHeld` gets each worker
   * whose unbegun calls are to be recalled.
   */
  constructor(
    connections: readonly Connection[],
    isNeeded: () => boolean,
    onHeld: (connection: Connection) => void,
  ) {
    this.#connections = connections;
    this.#isNeeded = isNeeded;
    this.#onHeld = onHeld;
  }

  /** Starts looking. It never keeps the process alive. */
  watch(): void {
    if (this.#timer !== null) return;
    this.#lastLook = performance.now();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** For callers that block the event loop: looks if a look is due. */
  lookInTime(now: number): void {
    if (this.#timer !== null && now - this.#lastLook >= LOOK_MS) this.#look();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /**
   * When anything moved last to it or from it, up to a look later; -Infinity for not since
   * `resetProgress`.
   */
  movedAt(connection: Connection): number {
    const seen = this.#seenOf(connection);
    const { reading, received } = seen;
    this.#noteProgress(connection, seen);
    if (reading !== seen.reading || received !== seen.received) seen.movedAt = performance.now();
    return seen.movedAt;
  }

  /** Starts the progress clock anew: what moved before does not count. */
  resetProgress(connection: Connection): void {
    const seen = this.#seenOf(connection);
    this.#noteProgress(connection, seen);
    seen.movedAt = -Infinity;
  }

  #noteProgress({ link }: Connection, seen: Seen): void {
    seen.reading = link?.reading ?? null;
    seen.received = link?.received ?? 0;
  }

  #look(): void {
    if (!this.#isNeeded()) return this.stop();
    this.#lastLook = performance.now();
    for (const connection of this.#connections) {
      this.movedAt(connection);
      const seen = this.#seenOf(connection);
      const read = connection.link?.reading ?? null;
      const isReading = read !== null && read !== seen.read;
      seen.read = read;
      this.#lookAtHead(connection, seen, isReading);
      this.#lookAtReading(connection, seen, read !== null && !isReading);
    }
  }

  #seenOf(connection: Connection): Seen {
    let seen = this.#seen.get(connection);
    if (seen === undefined) {
      seen = {
        ...{ read: null, idleLooks: 0, reading: null, received: 0, movedAt: -Infinity },
        ...{ head: 0, headLooks: 0, fruitless: 0, looksAllowed: LOOKS },
      };
      this.#seen.set(connection, seen);
    }
    return seen;
  }

  /** Kills a process that neither begins a sent task nor reads, at `LOOKS` looks in a row. */
  #lookAtReading(connection: Connection, seen: Seen, readsNothing: boolean): void {
    const { record, link } = connection;
    // A reported task that it has answered is over, though it could not report that yet.
    const reported = link?.currentTask;
    const begun =
      record.mayBeHeldByParent ||
      reported === Activity.Loading ||
      (reported !== undefined && record.indexOf(reported) >= 0) ||
      (record.begun !== null && record.begun.size > 0);
    const waits = record.inFlight.length > 0 && reported !== undefined && !begun;
    seen.idleLooks = waits && readsNothing ? seen.idleLooks + 1 : 0;
    if (seen.idleLooks >= LOOKS && !link?.isHeldByWrite) killFor(connection, HELD);
  }

  /** Counts looks at which the first call in flight is the same, and no more of it arrives. */
  #lookAtHead(connection: Connection, seen: Seen, isReading: boolean): void {
    const { record, link } = connection;
    const head = record.running;
    const order = head?.order ?? 0;
    // A large call may take longer to arrive than a worker has to begin it.
    const arrives = isReading && link?.currentTask === Activity.Idle;
    seen.headLooks = order === seen.head && !arrives ? seen.headLooks + 1 : 0;
    seen.head = order;
    if (seen.headLooks === 0 || link === null) return;
    if (head !== undefined) {
      if (this.#isHeld(record, link, seen)) this.#onHeld(connection);
    } else if (record.recalled && seen.headLooks >= LOOKS && !record.mayBeHeldByParent) {
      // All its calls were reclaimed, and it does not acknowledge the recall.
      if (!link.isHeldByWrite) killFor(connection, HELD);
    }
  }

  /** Whether the calls that it has not begun are to be recalled. */
  #isHeld(record: WorkerRecord, { currentTask, kill }: ControllerEnd, seen: Seen): boolean {
    if (record.recalled) return false;
    // Calls behind the one that it runs; and a first call that it does not begin, which a rank's
    // child does not report at once. A local process that begins nothing is killed instead.
    const isProcess = kill !== undefined;
    const isMany = record.hasWaiting;
    if (isProcess ? currentTask === undefined : currentTask === Activity.Idle)
      return this.#isFruitless(seen, isMany);
    return isMany && currentTask !== Activity.Loading && currentTask !== Activity.Idle;
  }

  /**
   * Whether it has had its looks to begin the first call. Their number doubles whenever that call
   * is sent again: it may be large, and what held the worker, as another pool's calls, may come
   * back.
   */
  #isFruitless(seen: Seen, isMany: boolean): boolean {
    const looks = seen.head === seen.fruitless ? seen.looksAllowed : isMany ? 1 : LOOKS;
    if (seen.headLooks < looks) return false;
    seen.fruitless = seen.head;
    seen.looksAllowed = 2 * Math.max(looks, LOOKS);
    return true;
  }
}
