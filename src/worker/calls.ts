import { Fifo } from "../collections/fifo.ts";
import type { EncodedAt } from "../codec/value.ts";
import type { CallStage, RunningCall } from "../context.ts";

/** A call that has not begun: its function is being loaded, or another call is not over. */
export interface QueuedCall {
  readonly task: number;
  readonly order: number;
  readonly fn: number;
  readonly deadline: number;
  readonly attempt: number;
  readonly args: EncodedAt;
}

/** The calls of one session, by how far each has come. */
export class Calls {
  /** In their order. */
  readonly queue = new Fifo<QueuedCall>();
  /** Calls that have begun, and are not over; a worker begins one at a time. */
  readonly #begun = new Fifo<RunningCall>();
  /** Goes on with the call that is flushing. */
  #resume: (() => void) | null = null;

  /** Whether a call has begun, and is not over. */
  get isBusy(): boolean {
    return this.#begun.length > 0;
  }

  /** The number of the call that has begun last; 0 for none. */
  get begun(): number {
    return this.#begun.last?.id ?? 0;
  }

  /** Whether the function of a call is on the stack. */
  get hasCalled(): boolean {
    return this.#begun.findIndex(({ stage }) => stage === "called") >= 0;
  }

  /** The call of that number, if it has begun, and is not over. */
  find(task: number): RunningCall | undefined {
    return this.#begun.find(({ id }) => id === task);
  }

  /** Moves a call that begins, or has begun: nothing else does. */
  move(call: RunningCall, to: CallStage): void {
    if (call.stage === "over") {
      if (to !== "over") this.#begun.push(call);
    } else if (to === "over") {
      this.#begun.remove(this.#begun.findIndex((other) => other === call));
    }
    call.stage = to;
  }

  /** A call begins, and goes on by `resume` once earlier answers have left. */
  flush(call: RunningCall, resume: () => void): void {
    this.move(call, "flushing");
    this.#resume = resume;
  }

  /** Earlier answers have left: the call that waited for that, and its `resume`. */
  takeFlushed(): { readonly call: RunningCall; readonly resume: () => void } | null {
    const call = this.#begun.find(({ stage }) => stage === "flushing");
    const resume = this.#resume;
    this.#resume = null;
    return call === undefined || resume === null ? null : { call, resume };
  }

  /**
   * The pool is over: nothing begins any more, and awaiting calls are returned, to be abandoned. A
   * function on the stack runs to its end.
   */
  takeAll(): RunningCall[] {
    this.queue.takeAll();
    const abandoned: RunningCall[] = [];
    const begun = this.#begun.takeAll();
    // By index: a task may have changed how arrays are iterated.
    for (let i = 0; i < begun.length; i++) {
      const call = begun[i]!;
      if (call.stage === "called") this.#begun.push(call);
      else {
        if (call.stage === "awaiting") abandoned.push(call);
        call.stage = "over";
      }
    }
    return abandoned;
  }
}
