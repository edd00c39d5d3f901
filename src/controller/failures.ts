import type { Unhandled } from "../options.ts";
import { clearTimeout, setImmediate, setTimeout } from "../os/natives.ts";
import { setExitCode } from "../os/processes.ts";
import { endUnseen, listenUnseen } from "../os/unseen.ts";
import { CLOSING_MS } from "../os/waits.ts";
import type { FunctionRecord } from "../function/record.ts";
import { ChildTask } from "../scheduler/child-task.ts";
import { Chunk } from "../scheduler/chunk.ts";
import type { Task, Waiter } from "../scheduler/task.ts";
import { textOf } from "../watch/error-text.ts";

/** Failures whose texts are kept, the first ones; the others are counted. */
const MOST_NOTED = 100;

/** Names of functions that are said of what a closing pool waits for. */
const MOST_NAMES = 3;

/**
 * The failures of a pool: those that nobody asked for, which are told on stderr at its end, and the
 * last one that somebody was told of. A task that succeeds costs nothing here, and of one that
 * fails no more than some texts are kept.
 */
export class Failures {
  readonly #mode: Unhandled;
  /** The texts of failures that nobody has asked for, by the orders of their tasks. */
  readonly #unasked = new Map<number, string>();
  #count = 0;
  /** The text of the last failure that somebody was told of. */
  #told: string | null = null;

  constructor(mode: Unhandled) {
    this.#mode = mode;
  }

  /** A task is settled by a failure, of which its waiter was told. */
  note(task: Task): void {
    // The reader of a map gets its failures, if it comes to them (`noteTold`).
    // A child's parent does, or its own failure is the one to be told of.
    if (task instanceof Chunk || task instanceof ChildTask) return;
    if (task.waiter !== null) {
      this.#told = describe(task);
      return;
    }
    task.waiter = this.#mark;
    if (this.#mode === "ignore") return;
    if (this.#count++ === 0) listenUnseen("exit", this.#onExit, true);
    if (this.#unasked.size < MOST_NOTED) this.#unasked.set(task.order, describe(task));
  }

  /** Somebody was told of a failure that is not of a task alone. */
  noteTold({ label }: FunctionRecord, error: unknown): void {
    this.#told = `an item of a map (${label}): ${textOf(error)}`;
  }

  /** The waiter of all tasks that failed without one. */
  readonly #mark: Waiter = {
    promise: null,
    resolve() {},
    reject() {},
    onAsked: (task) => {
      task.waiter = null;
      this.#told = describe(task);
      if (this.#mode === "ignore") return;
      this.#unasked.delete(task.order);
      if (--this.#count === 0) endUnseen("exit", this.#onExit);
    },
  };

  /**
   * The pool is over. One that was terminated after somebody was told of a failure was terminated
   * because of that: then the others are no news. The program may still ask in this turn.
   */
  end(isTerminated: boolean): void {
    if (this.#count === 0) return;
    if (isTerminated && this.#told !== null) this.#forget();
    else setImmediate(() => this.#tell());
  }

  readonly #onExit = (): void => this.#tell();

  /** Tells of the failures that nobody has asked for. */
  #tell(): void {
    if (this.#count === 0) return;
    const first = this.#unasked.get(Math.min(...this.#unasked.keys()));
    const which =
      first === undefined ? "" : this.#count === 1 ? `: ${first}` : `, the first: ${first}`;
    const what =
      this.#count === 1
        ? `a task has failed, and nobody has asked for its result${which}`
        : `${this.#count} tasks have failed, and nobody has asked for their results${which}`;
    const cure = 'await the handles, or open the pool with { unhandled: "ignore" }';
    this.#forget();
    if (this.#mode === "throw") setExitCode(process.exitCode || 1);
    process.stderr.write(`bsync: ${what}; ${cure}\n`);
  }

  #forget(): void {
    endUnseen("exit", this.#onExit);
    this.#unasked.clear();
    this.#count = 0;
  }

  /**
   * The pool closes: if that takes long after somebody was told of a failure, which may have led
   * out of the block whose end closes it, stderr is told, once. Returns a function that ends this.
   */
  watchClosing(forEachUnsettled: (visit: (task: Task) => void) => void): () => void {
    const before = this.#told;
    const timer = setTimeout(() => {
      const failure = before ?? this.#told;
      if (failure !== null) sayWaiting(failure, forEachUnsettled);
    }, CLOSING_MS);
    timer.unref();
    return () => clearTimeout(timer);
  }
}

function sayWaiting(failure: string, forEach: (visit: (task: Task) => void) => void): void {
  const counts = new Map<string, number>();
  let total = 0;
  forEach(({ fn }) => {
    counts.set(fn.label, (counts.get(fn.label) ?? 0) + 1);
    total++;
  });
  if (total === 0) return;
  const all = [...counts].sort(([, a], [, b]) => b - a);
  const names = all.slice(0, MOST_NAMES).map(([name, count]) => `${count} of ${name}`);
  if (all.length > MOST_NAMES) names.push("others");
  const tasks = total === 1 ? "1 task" : `${total} tasks`;
  process.stderr.write(
    `bsync: the pool is closing, and still waits for ${tasks} (${names.join(", ")}), after ` +
      `${failure}; to end at once, await pool.terminate(); pool.map and pool.all cancel the rest ` +
      "by themselves\n",
  );
}

/** As in `task 17 (render): RangeError: no such frame`. */
function describe({ label, outcome }: Task): string {
  return `${label}: ${textOf(outcome)}`;
}
