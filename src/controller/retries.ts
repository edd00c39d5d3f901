import { Heap } from "../collections/heap.ts";
import { BsyncError } from "../errors.ts";
import { performance, queueMicrotask } from "../os/natives.ts";
import { aside } from "../os/whole.ts";
import type { Scheduler } from "../scheduler/scheduler.ts";
import type { Task } from "../scheduler/task.ts";
import { Alarm } from "./alarm.ts";
import { textOf } from "../watch/error-text.ts";

/** Dead entries of the heap that are left in it at least, before they are swept out. */
const SWEEP_AT = 1024;

/** The controller, which settles tasks. */
export interface RetriesOwner {
  /** Whether the pool starts tasks again. */
  mayStartAgain(): boolean;
  fail(task: Task, error: unknown): void;
  /** A task was queued again. */
  again(task: Task, error: unknown): void;
  dispatch(): void;
}

/** A task, and what its last attempt has failed with. */
interface Failed {
  readonly task: Task;
  readonly error: unknown;
}

/**
 * Tasks that have failed, and may start again as their `retryOn` says. They are parked meanwhile:
 * such a task is queued, and can be cancelled, as any other.
 *
 * `retryOn` is the program's code. It is called where nothing of the pool's is under way: in a
 * microtask, or from within a call that blocks the thread.
 */
export class Retries {
  readonly #scheduler: Scheduler;
  readonly #owner: RetriesOwner;
  readonly #undecided: Failed[] = [];
  /** Tasks that start again at a time, by that time. */
  readonly #delayed = new Heap<Failed>();
  readonly #alarm = new Alarm(() => this.look());

  constructor(scheduler: Scheduler, owner: RetriesOwner) {
    this.#scheduler = scheduler;
    this.#owner = owner;
  }

  /** A task has thrown or timed out: it fails, or `retryOn` is asked soon. */
  failOrAsk(task: Task, error: unknown): void {
    const { retryOn, retries } = task.options;
    if (retryOn === null || task.losses >= retries || !this.#owner.mayStartAgain())
      return this.#owner.fail(task, error);
    this.#scheduler.park(task);
    this.#undecided.push({ task, error });
    if (this.#undecided.length === 1) queueMicrotask(() => this.look());
  }

  /** When the next task starts again; Infinity for none. */
  get nextAt(): number {
    return this.#delayed.peekKey();
  }

  /** Asks where it is to be asked, and queues the tasks again whose time has come. */
  look(): void {
    if (this.#undecided.length === 0 && this.#delayed.size === 0) return;
    let mayStart = this.#undecided.length > 0;
    for (let next = this.#undecided.shift(); next !== undefined; next = this.#undecided.shift()) {
      this.#decide(next.task, next.error);
    }
    const now = performance.now();
    for (; this.#delayed.peekKey() <= now; mayStart = true) {
      const { task, error } = this.#delayed.pop()!;
      this.#startAgain(task, error);
    }
    if (this.#delayed.size > 0) this.#alarm.set(this.#delayed.peekKey(), now);
    if (mayStart) this.#owner.dispatch();
  }

  stop(): void {
    this.#alarm.clear();
  }

  #decide(task: Task, error: unknown): void {
    // It may have been cancelled meanwhile, before or by the call.
    if (task.state !== "queued") return;
    let answer: unknown;
    try {
      answer = aside(() => task.options.retryOn!(error, task.losses + 1));
    } catch (thrown) {
      return this.#fail(task, refused(task, `thrown ${textOf(thrown)}`, error));
    }
    if (answer === false) return this.#fail(task, error);
    if (answer === true) return this.#startAgain(task, error);
    if (typeof answer === "number" && answer >= 0 && answer < Infinity)
      return this.#startLater(task, answer, error);
    this.#fail(task, refused(task, `returned ${textOf(answer)}`, error));
  }

  #startLater(task: Task, ms: number, error: unknown): void {
    if (task.state !== "queued") return;
    this.#delayed.push({ task, error }, performance.now() + ms, task.order);
    if (this.#delayed.size < SWEEP_AT || this.#delayed.size % SWEEP_AT !== 0) return;
    this.#delayed.keep(({ task }) => task.state === "queued");
  }

  #startAgain(task: Task, error: unknown): void {
    if (task.state !== "queued") return;
    task.losses++;
    this.#scheduler.submitAgain(task);
    this.#owner.again(task, error);
  }

  #fail(task: Task, error: unknown): void {
    if (task.state !== "queued") return;
    this.#scheduler.cancel(task, 0);
    this.#owner.fail(task, error);
  }
}

function refused(task: Task, what: string, error: unknown): BsyncError {
  const message =
    `Cannot start ${task.label} again after ${textOf(error)}: its retryOn has ${what}; let it ` +
    "return true, false or a number of ms >= 0";
  return new BsyncError("BSYNC_RETRY_ON", message, { cause: error });
}
