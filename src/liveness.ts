import type { Connection } from "./connection.ts";
import { At } from "./link/link.ts";

/** A worker that does not begin what it was sent is ended after so many looks, with so many ms between. */
const IDLE_LOOKS = 3;
const IDLE_LOOK_MS = 1_000;

/**
 * While tasks are pending, looks now and then for workers that have been sent a task and neither begin
 * it nor take anything in: something that an earlier task left behind keeps their event loop. They
 * are ended, and so replaced; what they had not begun is queued again. (A rank cannot be, nor does
 * it tell what it has begun.)
 */
export class Liveness {
  readonly #connections: readonly Connection[];
  readonly #isNeeded: () => boolean;
  #timer: ReturnType<typeof setInterval> | null = null;

  /** It looks at what is in `connections` at the time, as long as `isNeeded`. */
  constructor(connections: readonly Connection[], isNeeded: () => boolean) {
    this.#connections = connections;
    this.#isNeeded = isNeeded;
  }

  /** Looks from now on. It never keeps the process alive. */
  watch(): void {
    if (this.#timer !== null) return;
    this.#timer = setInterval(() => this.#look(), IDLE_LOOK_MS);
    this.#timer.unref();
  }

  rest(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #look(): void {
    if (!this.#isNeeded()) return this.rest();
    for (const connection of this.#connections) {
      const { record, link } = connection;
      const read = link?.reading ?? null;
      // What it began and has answered is over, though it was kept from saying so.
      const told = link?.told;
      const begun = told === At.Loading || record.inFlight.findIndex(({ id }) => id === told) >= 0;
      const waits = record.inFlight.length > 0 && told !== undefined && !begun;
      const stands = waits && read !== null && read === connection.read;
      connection.idleLooks = stands ? connection.idleLooks + 1 : 0;
      connection.read = read;
      if (connection.idleLooks >= IDLE_LOOKS) link?.kill?.();
    }
  }
}
