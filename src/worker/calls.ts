import { Fifo } from "../collections/fifo.ts";
import type { EncodedAt } from "../codec/value.ts";
import { CallList } from "./call-list.ts";
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
  /** In their order. A list of which some calls have begun is the first. */
  readonly queue = new Fifo<QueuedCall | CallList>();
  /**
   * The call that has begun last, and is not over; the ones before it follow by `previous`. As a
   * rule there is one, and a list that needs no memory of its own costs it nothing.
   */
  #last: RunningCall | null = null;
  /** Calls that wait for tasks that they have submitted. */
  readonly #suspended = new Set<RunningCall>();
  /** Goes on with the call that is flushing. */
  #resume: (() => void) | null = null;

  /** Whether a call has begun, and is neither over nor suspended. */
  get isBusy(): boolean {
    return this.#last !== null;
  }

  get hasSuspended(): boolean {
    return this.#suspended.size > 0;
  }

  /**
   * Whether another call may begin, where `most` may be under way: none of them has the thread, or
   * is about to have it.
   */
  mayBegin(most: number): boolean {
    if (this.#last === null || !(most > 1)) return this.#last === null;
    let count = 0;
    for (let call: RunningCall | null = this.#last; call !== null; call = call.previous) {
      if (call.stage !== "awaiting" || ++count === most) return false;
    }
    return true;
  }

  /** The calls under way if all of them wait for something, and none if one has the thread. */
  waiting(): RunningCall[] {
    const waiting: RunningCall[] = [];
    for (let call = this.#last; call !== null; call = call.previous) {
      if (call.stage !== "awaiting") return [];
      waiting.push(call);
    }
    return waiting;
  }

  /** The number of the call that has begun last; 0 for none. */
  get begun(): number {
    return this.#last?.id ?? 0;
  }

  /** Whether the function of a call is on the stack. */
  get hasCalled(): boolean {
    return this.#findActive(({ stage }) => stage === "called") !== null;
  }

  /** The call of that number, if it has begun, and is not over. */
  find(task: number): RunningCall | null {
    return this.#find(({ id }) => id === task);
  }

  /** The call that has begun, and is not over, of the list whose first call has that number. */
  findOf(first: number): RunningCall | null {
    return this.#find((call) => call.first === first);
  }

  #find(wanted: (call: RunningCall) => boolean): RunningCall | null {
    const active = this.#findActive(wanted);
    if (active !== null) return active;
    for (const call of this.#suspended) if (wanted(call)) return call;
    return null;
  }

  /** The same without those that are suspended, of which there may be thousands. */
  #findActive(wanted: (call: RunningCall) => boolean): RunningCall | null {
    for (let call = this.#last; call !== null; call = call.previous) if (wanted(call)) return call;
    return null;
  }

  /** Moves a call that begins, or has begun: nothing else does. */
  move(call: RunningCall, to: CallStage): void {
    const { stage } = call;
    if (stage === to) return;
    if (stage === "suspended") this.#suspended.delete(call);
    else if (stage !== "over" && (to === "over" || to === "suspended")) this.#remove(call);
    if (to === "suspended") this.#suspend(call);
    else if (to !== "over" && (stage === "over" || stage === "suspended")) {
      call.previous = this.#last;
      this.#last = call;
    }
    call.stage = to;
  }

  /** The rest of its list goes to any worker: the controller does the same. */
  #suspend(call: RunningCall): void {
    this.#suspended.add(call);
    const list = this.queue.at(0);
    if (!(list instanceof CallList) || list.task !== call.first || list.begun === 0) return;
    this.queue.shift();
    list.endHere();
  }

  #remove(call: RunningCall): void {
    if (this.#last === call) this.#last = call.previous;
    else {
      const next = this.#findActive(({ previous }) => previous === call);
      if (next !== null) next.previous = call.previous;
    }
    call.previous = null;
  }

  /** Calls that have not begun are another worker's, or nobody's. */
  dropQueue(): void {
    for (const call of this.queue.takeAll()) if (call instanceof CallList) call.endHere();
  }

  /** A call begins, and goes on by `resume` once earlier answers have left. */
  flush(call: RunningCall, resume: () => void): void {
    this.move(call, "flushing");
    this.#resume = resume;
  }

  /** Earlier answers have left: the call that waited for that, and its `resume`. */
  takeFlushed(): { readonly call: RunningCall; readonly resume: () => void } | null {
    const call = this.#findActive(({ stage }) => stage === "flushing");
    const resume = this.#resume;
    this.#resume = null;
    return call === null || resume === null ? null : { call, resume };
  }

  /**
   * The pool is over: nothing begins any more, and awaiting calls are returned, to be abandoned. A
   * function on the stack runs to its end.
   */
  takeAll(): RunningCall[] {
    this.dropQueue();
    const abandoned: RunningCall[] = [];
    for (let call = this.#last; call !== null;) {
      const { previous, stage } = call;
      if (stage === "awaiting") abandoned.push(call);
      if (stage !== "called") this.move(call, "over");
      call = previous;
    }
    for (const call of [...this.#suspended]) {
      abandoned.push(call);
      this.move(call, "over");
    }
    return abandoned;
  }
}
