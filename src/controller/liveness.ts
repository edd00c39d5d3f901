import type { Connection } from "./connection.ts";
import { clearInterval, performance, setInterval } from "../os/natives.ts";
import { LOOK_MS, LOOKS } from "../os/waits.ts";
import { Activity } from "../wire/task-id.ts";
import type { ControllerEnd } from "../link/link.ts";
import type { WorkerRecord } from "../scheduler/task.ts";

/** What was seen of a connection when it was last looked at. */
interface Seen {
  /** How far it had read its link. */
  read: number | null;
  /** How often in a row it did not begin what it was sent, nor read. */
  idleLooks: number;
  /**
   * How far it had read, and what had come of it, when that was last compared; and when it had
   * changed.
   */
  reading: number | null;
  received: number;
  movedAt: number;
  /** Which task was first in flight, 0 for none, and how often in a row it was that one. */
  head: number;
  headLooks: number;
  /** The last one that it did not begin in so many looks, and was taken back from it. */
  fruitless: number;
  looksAllowed: number;
}

/**
 * While tasks are pending, looks now and then for workers that are held.
 *
 * Those that have been sent a task and neither begin it nor take anything in: something that an
 * earlier task left behind keeps their event loop. A process is ended, and so replaced; what it had
 * not begun is queued again. From a rank, which cannot be ended, it is taken back.
 *
 * Those that run one call for long, while others were sent behind it: these are taken back, too.
 * (Where another worker is idle that takes some ms: `recalls.ts`.)
 */
export class Liveness {
  readonly #connections: readonly Connection[];
  readonly #isNeeded: () => boolean;
  readonly #onHeld: (connection: Connection) => void;
  readonly #seen = new WeakMap<Connection, Seen>();
  #lastLook = 0;
  #timer: ReturnType<typeof setInterval> | null = null;

  /**
   * It looks at what is in `connections` at the time, as long as `isNeeded`. `onHeld` is told of
   * workers from which something is to be taken back.
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

  /** Looks from now on. It never keeps the process alive. */
  watch(): void {
    if (this.#timer !== null) return;
    this.#lastLook = performance.now();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  /** For callers that keep the event loop from turning: looks if it is time to. */
  lookInTime(now: number): void {
    if (this.#timer !== null && now - this.#lastLook >= LOOK_MS) this.#look();
  }

  rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Whether anything has gone to it or come from it within about a second, and since `forget`. */
  hasProgressed(connection: Connection): boolean {
    const seen = this.#seenOf(connection);
    const { reading, received } = seen;
    this.#noteProgress(connection, seen);
    const now = performance.now();
    if (reading !== seen.reading || received !== seen.received) seen.movedAt = now;
    return now - seen.movedAt < LOOK_MS;
  }

  /** What it has moved until now says nothing. */
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
    if (!this.#isNeeded()) return this.rest();
    this.#lastLook = performance.now();
    for (const connection of this.#connections) {
      this.hasProgressed(connection);
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

  /** Does it stand before what it was sent, and read nothing? */
  #lookAtReading({ record, link }: Connection, seen: Seen, readsNothing: boolean): void {
    // What it began and has answered is over, though it was kept from saying so.
    const told = link?.currentTask;
    const begun =
      told === Activity.Loading || record.inFlight.findIndex(({ id }) => id === told) >= 0;
    const waits = record.inFlight.length > 0 && told !== undefined && !begun;
    seen.idleLooks = waits && readsNothing ? seen.idleLooks + 1 : 0;
    if (seen.idleLooks >= LOOKS && !link?.isHeldByWrite) link?.kill?.();
  }

  /** Is the first call in flight the one of the last look, though nothing more of it arrives? */
  #lookAtHead(connection: Connection, seen: Seen, isReading: boolean): void {
    const { record, link } = connection;
    const head = record.running;
    const order = head?.order ?? 0;
    // What is large may take longer to arrive than a worker has to begin it.
    const arrives = isReading && link?.currentTask === Activity.Idle;
    seen.headLooks = order === seen.head && !arrives ? seen.headLooks + 1 : 0;
    seen.head = order;
    if (seen.headLooks === 0 || link === null) return;
    if (head !== undefined) {
      if (this.#isHeld(record, link, seen)) this.#onHeld(connection);
    } else if (record.recalled && seen.headLooks >= LOOKS) {
      // All it was sent was taken back, and it does not say that it knows.
      if (!link.isHeldByWrite) link.kill?.();
    }
  }

  /** Whether what it has not begun is to be taken back. */
  #isHeld(record: WorkerRecord, { currentTask, kill }: ControllerEnd, seen: Seen): boolean {
    if (record.recalled) return false;
    // What is behind the call that it runs; and one that it does not begin, which a rank's child
    // does not tell at once. A local process that begins nothing is ended instead.
    const isProcess = kill !== undefined;
    const isMany = record.inFlight.length > 1;
    if (isProcess ? currentTask === undefined : currentTask === Activity.Idle)
      return this.#isFruitless(seen, isMany);
    return isMany && currentTask !== Activity.Loading && currentTask !== Activity.Idle;
  }

  /**
   * Whether it has had its time to begin the first one. That has twice as much whenever it is sent
   * again: it may be large, and what held the worker may come back, as another pool's calls do.
   */
  #isFruitless(seen: Seen, isMany: boolean): boolean {
    const looks = seen.head === seen.fruitless ? seen.looksAllowed : isMany ? 1 : LOOKS;
    if (seen.headLooks < looks) return false;
    seen.fruitless = seen.head;
    seen.looksAllowed = 2 * Math.max(looks, LOOKS);
    return true;
  }
}
