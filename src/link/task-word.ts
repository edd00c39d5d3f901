import { Atomics } from "../os/natives.ts";
import { Activity } from "../wire/task-id.ts";

/** ms after a recall from which on a worker's report is certain. */
export const CERTAIN_MS = 1;

/** ms in which a worker that is awake begins a call that it was sent. */
export const BEGIN_MS = 4;

/**
 * A worker's report of its current task, in memory that it shares with its controller, which can
 * read it at any time, even when the worker is held or gone; and the controller's count of recalls,
 * which the worker looks at before it begins anything.
 *
 * Neither side waits, and a call costs the worker one store and one load. The worker writes what it
 * is about to begin, then looks; the controller counts one up, then, much later, reads. If the
 * worker has looked before that count, then what it began is to be read by now, and whatever it
 * would begin after that, it looks first, and sees the new count. So the task that is read is the
 * last that it begins of those it was sent. ("Much later" is what a fence would be for: a store
 * takes ns to be seen, a look comes a millisecond after.)
 */
export class TaskWord {
  readonly #words: Int32Array;
  /** For the worker: its last report, and how many recalls it has come to on its link. */
  #own: number = Activity.Idle;
  #known = 0;

  /**
   * `words` are two of shared memory, zero at first: the worker's report, and the count of recalls.
   */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Reports the worker's task; false if it may begin nothing before it has come to a recall. */
  report(at: number): boolean {
    const words = this.#words;
    words[0] = at;
    if (Atomics.load(words, 1) !== this.#known && at !== Activity.Idle) {
      words[0] = this.#own;
      return false;
    }
    this.#own = at;
    return true;
  }

  /** The worker has come to that recall: calls that were sent after it may be begun. */
  resume(recalls: number): void {
    this.#known = recalls | 0;
  }

  /** The worker's last report. */
  get currentTask(): number {
    return Atomics.load(this.#words, 0) >>> 0;
  }

  /** From now on the worker begins no call that was sent before. The count, to be sent to it. */
  recall(): number {
    return (Atomics.add(this.#words, 1, 1) + 1) >>> 0;
  }
}
