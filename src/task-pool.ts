import { bindToProcess } from "./codec/refusal.ts";
import type { Completed } from "./gather/as-completed.ts";
import { gather } from "./gather/lazy.ts";
import type { MessageHandle } from "./handle.ts";
import { type CallOptions, readCallOptions } from "./options.ts";
import { keepWhole } from "./os/whole.ts";
import { type Caller, PoolCalls, type PoolView } from "./pool-calls.ts";
import type { TaskOptions } from "./scheduler/task.ts";

/** A caller that is a task. */
export interface TaskCaller extends Caller {
  /** How many workers the pool has. */
  readonly size: number;
  /** The task waits for these from now on. */
  expect(handles: readonly MessageHandle<unknown>[]): void;
}

/**
 * The pool as a task sees it: `taskContext().pool`. The tasks that it submits are the pool's as all
 * others, and its children: they start before tasks of the same priority that wait, the deepest
 * first. A task that awaits them gives up its place on the worker meanwhile.
 *
 * Children inherit the priority and the signal of their task; the pool's `queueLimit` does not
 * count for them. A task that fails, or is cancelled, cancels those that it still awaits; others go
 * on.
 *
 * @example
 * async function render(scene: Scene) {
 *   const { pool } = taskContext();
 *   return join(await pool.map(renderTile, tilesOf(scene)));
 * }
 */
export class TaskPool extends PoolCalls {
  readonly #caller: TaskCaller;
  readonly #base: TaskOptions;

  /** @internal */
  constructor(caller: TaskCaller, base: TaskOptions) {
    super(caller, base);
    this.#caller = caller;
    this.#base = base;
  }

  /** How many workers the pool has. */
  get size(): number {
    return this.#caller.size;
  }

  /**
   * The same pool with other options for the calls made through it; those left out are inherited.
   * `retryOn` is for the controller alone: `TypeError`.
   *
   * @example
   * const patient = taskContext().pool.with({ timeout: 60_000, retries: 2 });
   */
  with(options: CallOptions): PoolView {
    const read = readCallOptions(options, this.#base, this.#caller.size);
    if (read.retryOn !== null) {
      throw new TypeError(
        "Cannot submit with retryOn within a task: it is called on the controller; catch the " +
          "failure, and submit once more",
      );
    }
    return new PoolCalls(this.#caller, read);
  }

  /**
   * Handles in the order in which they settle, each with its index in `handles`, whatever its
   * outcome.
   *
   * @example
   * const { pool } = taskContext();
   * for await (const { handle, index } of pool.asCompleted(handles)) {
   *   console.log(index, handle.state);
   * }
   */
  asCompleted<H extends MessageHandle<unknown>>(
    handles: Iterable<H>,
  ): AsyncIterableIterator<Completed<H>, undefined> {
    const all = [...handles];
    const completed = gather().asCompleted(all);
    this.#caller.expect(all);
    return completed;
  }
}

keepWhole([TaskPool.prototype]);

bindToProcess(TaskPool, "call taskContext().pool in the task itself");
