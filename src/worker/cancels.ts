import type { Answers } from "./answers.ts";
import { isOver, lateError } from "./call.ts";
import { CallList } from "./call-list.ts";
import type { Calls } from "./calls.ts";

/** Calls that are not wanted any more: what has come of each, and its answer. */
export class Cancels {
  readonly #answers: Answers;
  readonly #calls: Calls;
  readonly #goOn: () => void;
  /**
   * Calls of the message that is read that were cancelled before they were read: an earlier one of
   * them has received messages.
   */
  readonly #cancelled = new Set<number>();

  /** `goOn` is called when others may begin. */
  constructor(answers: Answers, calls: Calls, goOn: () => void) {
    this.#answers = answers;
    this.#calls = calls;
    this.#goOn = goOn;
  }

  /** Whether a call that has come was cancelled before. */
  takes(task: number): boolean {
    return this.#cancelled.delete(task);
  }

  /** A message was read. */
  endMessage(): void {
    if (!this.#calls.hasCalled) this.#cancelled.clear();
  }

  /** A call was cancelled; or a list, by its first call. */
  cancel(task: number): void {
    const { queue } = this.#calls;
    const waiting = queue.findIndex((call) => call.task === task);
    const begun = this.#calls.findOf(task);
    const isAwaiting = begun?.stage === "awaiting" || begun?.stage === "suspended";
    const isBegun = begun?.stage === "flushing" || isAwaiting;
    if (waiting < 0 && !isBegun) {
      // It has been answered; or lies behind the call that has received this, or is that call.
      if (this.#calls.hasCalled) this.#cancelled.add(task);
      return;
    }
    const dropped = waiting >= 0 ? queue.remove(waiting) : null;
    const list = dropped instanceof CallList ? dropped : null;
    // The list whose call is on the stack ends with that.
    if (list !== null && begun?.stage === "called") {
      list.isDropped = true;
      return;
    }
    if (begun?.stage === "flushing") this.#calls.move(begun, "over");
    // Of a list, the controller waits for the last call; or for the one that has begun, if it has
    // reclaimed those behind, as this side may not have heard yet.
    this.#answers.drop(begun?.id ?? list?.lastId ?? task);
    if (begun !== null && list !== null) this.#answers.drop(list.lastId);
    if (isAwaiting) {
      this.#calls.move(begun!, "over");
      // Listeners may take their time: the answer goes before.
      this.#answers.flush();
      // By its own clock its time may be over, and the controller was faster to say so.
      begun!.abandon(isOver(begun!) ? lateError(begun!) : undefined);
    }
    this.#goOn();
  }
}
