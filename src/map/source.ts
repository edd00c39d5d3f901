import { toPromise } from "../os/natives.ts";
import { aside, isWatched } from "../os/whole.ts";

/** What `take` found: an item, or the end; or it has to wait, or the source has thrown. */
export type Taken = "item" | "end" | "wait" | "failed";

/**
 * The items of a map, taken one after another: `next` is never called while an earlier call of it
 * is pending. Promises among the items of a sync iterable are awaited.
 */
export class Source {
  /** Of the last `take`: the item, or the error. */
  taken: unknown = undefined;
  /** How many items there are, as far as their list tells; it may grow, or shrink. */
  readonly size: number | null;
  readonly #items: object | string;
  #iterator: AnyIterator | null = null;
  #isAsync = false;
  readonly #onReady: () => void;
  #state: "open" | "pending" | "ready" | "over" = "open";
  #ready: Taken = "end";
  /** The iterator has come to its end, or has thrown: there is nothing to close. */
  #hasEnded = false;
  #closed: Promise<void> | null = null;
  /** Its iterator is on the stack. */
  #isStepping = false;

  /** `items` is `isIterable`. `onReady` is called when `take` does not have to wait any more. */
  constructor(items: object | string, onReady: () => void) {
    this.#items = items;
    this.size = sizeOf(items);
    this.#onReady = onReady;
  }

  /** Takes the next item, if it is there. Never throws. */
  take(): Taken {
    if (this.#state === "open") this.#next();
    if (this.#state === "pending") return "wait";
    if (this.#state === "over") return "end";
    const taken = this.#ready;
    this.#state = taken === "item" ? "open" : "over";
    return taken;
  }

  /** Nothing more is taken: calls the source's `return`, once, unless it has ended by itself. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    this.#state = "over";
    this.taken = undefined;
    // A source that ends its map itself cannot be closed while it runs.
    if (this.#isStepping) await null;
    if (!this.#hasEnded) await this.#iterator?.return?.();
  }

  #next(): void {
    this.#state = "ready";
    // Until there is an item the failure is the iterator's: then there is nothing to close.
    let isIterators = true;
    const fail = (error: unknown) => this.#be("failed", error, isIterators);
    try {
      const step = isWatched ? aside(() => this.#step()) : this.#step();
      if (this.#isAsync) return this.#await(step, (awaited) => this.#read(awaited), fail);
      this.#read(step);
      isIterators = this.#hasEnded;
      if (!isIterators && isThenable(this.taken)) {
        this.#await(this.taken, (item) => this.#be("item", item), fail);
      }
    } catch (error) {
      fail(error);
    }
  }

  #step(): unknown {
    this.#isStepping = true;
    try {
      return (this.#iterator ??= this.#begin()).next();
    } finally {
      this.#isStepping = false;
    }
  }

  /** Not before an item is taken: it is the program's code. */
  #begin(): AnyIterator {
    const { [Symbol.asyncIterator]: asyncIterator, [Symbol.iterator]: iterator } = this
      .#items as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
    this.#isAsync = isFunction(asyncIterator);
    const made: unknown = Reflect.apply((asyncIterator ?? iterator)!, this.#items, []);
    if (isObject(made)) return made as AnyIterator;
    throw new TypeError(`Cannot map: the items' iterator is ${Bun.inspect(made)}`);
  }

  /** A step of the iterator. */
  #read(step: unknown): void {
    if (!isObject(step)) {
      const error = new TypeError(`Cannot map: the iterator's next() gave ${Bun.inspect(step)}`);
      return this.#be("failed", error);
    }
    const { done, value } = step as { readonly done?: unknown; readonly value?: unknown };
    if (done) this.#be("end", undefined);
    else this.#be("item", value);
  }

  #be(ready: Taken, taken: unknown, hasEnded = ready !== "item"): void {
    this.#ready = ready;
    this.taken = taken;
    this.#hasEnded = hasEnded;
  }

  #await(value: unknown, then: (value: unknown) => void, fail: (error: unknown) => void): void {
    this.#state = "pending";
    const settle = (deed: (value: unknown) => void) => (settled: unknown) => {
      if (this.#state !== "pending") return;
      this.#state = "ready";
      try {
        deed(settled);
      } catch (error) {
        this.#be("failed", error);
      }
      this.#onReady();
    };
    void toPromise(value).then(settle(then), settle(fail));
  }
}

interface AnyIterator {
  next(): unknown;
  return?(): unknown;
}

/** Whether `map` can take items from a value. */
export function isIterable(items: unknown): items is object | string {
  if (typeof items === "string") return true;
  if (!isObject(items)) return false;
  const { [Symbol.asyncIterator]: asyncIterator, [Symbol.iterator]: iterator } = items as Partial<
    AsyncIterable<unknown> & Iterable<unknown>
  >;
  return isFunction(asyncIterator) || isFunction(iterator);
}

/** How many items there are, where that is known without taking them. */
export function sizeOf(items: object | string): number | null {
  if (Array.isArray(items) || ArrayBuffer.isView(items)) return (items as unknown[]).length ?? null;
  return items instanceof Set || items instanceof Map ? items.size : null;
}

function isObject(value: unknown): value is object {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

function isFunction(value: unknown): value is Function {
  return typeof value === "function";
}

function isThenable(value: unknown): boolean {
  return isObject(value) && isFunction((value as { then?: unknown }).then);
}
