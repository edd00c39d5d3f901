import { Fifo } from "../collections/fifo.ts";
import { QueueFullError } from "../errors.ts";
import type { FunctionRecord } from "../function/record.ts";
import { newPromise, type Promise, setImmediate } from "../os/natives.ts";
import { needStack } from "../os/stack.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";

/** The controller, whose queue it is. */
interface QueueOwner {
  /** Sends what can be sent. */
  dispatch(): void;
  /** Whether calls are refused for another reason. */
  isClosed(): boolean;
}

/** How many tasks may wait for a worker (`queueLimit`), and the callers that wait for room. */
export class QueueLimit {
  readonly #limit: number;
  readonly #scheduler: Scheduler;
  readonly #owner: QueueOwner;
  readonly #waiters = new Fifo<PromiseWithResolvers<void>>();
  /** Places of callers that have gone on, and may not have submitted their task yet. */
  #granted = 0;

  constructor(limit: number, scheduler: Scheduler, owner: QueueOwner) {
    this.#limit = limit;
    this.#scheduler = scheduler;
    this.#owner = owner;
  }

  /** `calls` more: each waits in the queue that no idle worker can take. */
  refuseIfFull(fn: FunctionRecord, calls = 1): void {
    if (this.#limit === Infinity) return;
    if (this.#granted > 0) this.#granted = Math.max(0, this.#granted - calls);
    if (this.#scheduler.queued + calls <= this.#limit) return;
    // Workers with short calls in flight may be about to be sent more.
    needStack();
    this.#owner.dispatch();
    const { queued, sets } = this.#scheduler;
    if (queued + Math.max(0, calls - sets.free) <= this.#limit) return;
    throw new QueueFullError(
      `Cannot call ${fn.label}: ${queued} tasks wait for a worker, and queueLimit is ` +
        `${this.#limit}; wait for room (await pool.room()), or raise it`,
    );
  }

  /** How many tasks may be submitted now, beside those for which places were granted. */
  get places(): number {
    return this.#limit === Infinity ? Infinity : this.#free();
  }

  /** Whether somebody waits for room. */
  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Resolves when another task may be submitted; at once where calls are refused anyway. */
  room(): Promise<void> {
    const waiter = newPromise<void>();
    this.#waiters.push(waiter);
    this.check();
    return waiter.promise;
  }

  /**
   * Tasks have left the queue, or the pool is closed: as many callers go on as there are places,
   * each of which is taken to submit one task.
   */
  check(): void {
    const free = this.isAwaited ? this.#free() : 0;
    if (free <= 0) return;
    // Their tasks come before the next turn of the event loop. Callers that have gone on may
    // submit nothing after all: then there is room for others.
    if (this.#granted === 0) setImmediate(this.#onTurn);
    for (let i = 0; i < free && this.isAwaited; i++) {
      this.#granted++;
      this.#waiters.shift()!.resolve();
    }
  }

  readonly #onTurn = (): void => {
    this.#granted = 0;
    this.check();
  };

  #free(): number {
    if (this.#owner.isClosed()) return Infinity;
    const { queued, sets } = this.#scheduler;
    return this.#limit - queued + sets.free - this.#granted;
  }
}
