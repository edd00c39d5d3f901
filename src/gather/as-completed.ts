import { bindToProcess } from "../codec/refusal.ts";
import { Fifo } from "../collections/fifo.ts";
import { addWaiter, removeWaiter } from "../controller/settlement.ts";
import type { MessageHandle } from "../handle.ts";
import { newPromise, toPromise } from "../os/natives.ts";
import { keepWhole } from "../os/whole.ts";
import { noteAsked, type Waiter } from "../scheduler/task.ts";
import type { ProgressSource, ProgressSources } from "../watch/progress-sources.ts";
import { nameOf } from "./handle-progress.ts";
import { readHandles } from "./handles.ts";

/** A handle that is settled, and its place among those that were given. */
export interface Completed<H> {
  readonly handle: H;
  readonly index: number;
}

type Result<H> = IteratorResult<Completed<H>, undefined>;

/** What async generators inherit from, too. */
const AsyncIteratorPrototype = Object.getPrototypeOf(
  Object.getPrototypeOf(async function* () {}.prototype),
) as object;

/**
 * Handles in the order in which they settle; see `AsyncPool.asCompleted`. No async generator: in
 * one `return` would wait behind a `next` that waits.
 */
class AsCompleted<H extends MessageHandle<unknown>> implements AsyncIterableIterator<
  Completed<H>,
  undefined
> {
  readonly #handles: readonly H[];
  /** By index; null for those that were settled at the start. */
  readonly #waiters: (Waiter | null)[];
  /** Indices of handles that are settled and not handed out. */
  readonly #settled = new Fifo<number>();
  /** Calls of `next` that wait, in their order. */
  readonly #calls = new Fifo<PromiseWithResolvers<Result<H>>>();
  /** How many are still to be handed out. */
  #left: number;
  /** How many have yet to settle, and have failed. */
  #open = 0;
  #failed = 0;
  /** Nobody is told any more how far it is: all have settled, or it is left. */
  readonly #leave: () => void;

  constructor(handles: readonly H[], progressSources: ProgressSources | null) {
    this.#handles = handles;
    this.#left = handles.length;
    this.#waiters = handles.map((handle, index) => {
      noteAsked(handle);
      if (!handle.settled) return this.#waitFor(handle, index);
      this.#settled.push(index);
      if (handle.state === "failed") this.#failed++;
      return null;
    });
    const progressSource = this.#progressSource;
    if (this.#open > 0) progressSources?.add(progressSource);
    this.#leave = () => progressSources?.delete(progressSource);
  }

  get #progressSource(): ProgressSource {
    const total = this.#handles.length;
    return {
      kind: "asCompleted",
      name: () => nameOf(this.#handles),
      look: () => ({ done: total - this.#open, failed: this.#failed, total }),
    };
  }

  #waitFor(handle: H, index: number): Waiter {
    const settle = () => this.#onSettled(index);
    const waiter = { promise: null, resolve: settle, reject: settle };
    addWaiter(handle, waiter);
    this.#open++;
    return waiter;
  }

  #onSettled(index: number): void {
    removeWaiter(this.#handles[index]!, this.#waiters[index]!);
    this.#waiters[index] = null;
    if (this.#handles[index]!.state === "failed") this.#failed++;
    // Not only when all are handed out: nobody may ask for the others.
    if (--this.#open === 0) this.#leave();
    const call = this.#calls.shift();
    if (call === undefined) this.#settled.push(index);
    else call.resolve(this.#handOut(index));
    // Calls that are left wait for nothing.
    if (this.#left === 0) this.#end();
  }

  #handOut(index: number): Result<H> {
    this.#left--;
    return { done: false, value: { handle: this.#handles[index]!, index } };
  }

  /** The next handle that is settled. Calls are answered in their order. */
  next(): Promise<Result<H>> {
    const index = this.#settled.shift();
    if (index !== undefined) return toPromise(this.#handOut(index)) as Promise<Result<H>>;
    if (this.#left === 0) return toPromise(over()) as Promise<Result<H>>;
    const call = newPromise<Result<H>>();
    this.#calls.push(call);
    return call.promise;
  }

  /** Ends it, also for calls of `next` that wait; the tasks go on. */
  return(value?: unknown): Promise<IteratorReturnResult<undefined>> {
    for (const [index, waiter] of this.#waiters.entries()) {
      if (waiter !== null) removeWaiter(this.#handles[index]!, waiter);
    }
    this.#waiters.length = 0;
    this.#settled.takeAll();
    this.#left = 0;
    this.#leave();
    this.#end();
    return toPromise(value).then((value) => ({ done: true, value: value as undefined }));
  }

  #end(): void {
    for (const call of this.#calls.takeAll()) call.resolve(over());
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  get [Symbol.toStringTag](): string {
    return "AsCompleted";
  }
}

function over(): IteratorReturnResult<undefined> {
  return { done: true, value: undefined };
}

Object.setPrototypeOf(AsCompleted.prototype, AsyncIteratorPrototype);
bindToProcess(AsCompleted, "pass the handles' results");
keepWhole([AsCompleted.prototype]);

export function asCompleted<H extends MessageHandle<unknown>>(
  handles: Iterable<H>,
  progressSources: ProgressSources | null = null,
): AsyncIterableIterator<Completed<H>, undefined> {
  return new AsCompleted(readHandles("wait for what settles next", handles), progressSources);
}
