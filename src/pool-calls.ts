import { bindToProcess } from "./codec/refusal.ts";
import type { MessageHandle } from "./handle.ts";
import type { MapOptions, Settled } from "./map/settings.ts";
import type { Results } from "./map/results.ts";
import type { TaskFunction } from "./options.ts";
import { keepWhole } from "./os/whole.ts";
import type { TaskOptions } from "./scheduler/task.ts";

/**
 * The arguments for `F`; for a text any. The second form is that for a text, and takes functions
 * too: else TypeScript would say of a function whose argument is missing that it is no string.
 */
export type ArgumentsOf<F> = [F] extends [string]
  ? unknown[]
  : F extends TaskFunction
    ? Parameters<F>
    : unknown[];

/** The items of a map: any iterable, endless ones included. Promises among them are awaited. */
export type ItemsOf<I> = Iterable<I | PromiseLike<I>> | AsyncIterable<I>;

/** The arguments of `starmap`'s function, without the index that follows them. */
export type TupleOf<F> = F extends TaskFunction ? Readonly<Partial<Parameters<F>>> : never;

/** What a call of a pool, or of one of its views, is made of. */
export interface Caller {
  submit(fn: TaskFunction | string, args: unknown[], options: TaskOptions): MessageHandle<unknown>;
  map(
    fn: TaskFunction | string,
    items: unknown,
    isStar: boolean,
    options: MapOptions,
    base: TaskOptions,
  ): Results<unknown>;
}

/** The calls of a pool, all under the same options. */
export class PoolCalls {
  readonly #caller: Caller;
  readonly #options: TaskOptions;

  /** @internal */
  constructor(caller: Caller, options: TaskOptions) {
    this.#caller = caller;
    this.#options = options;
  }

  /**
   * Queues one call and returns at once. `fn` is a function of a module, an inline function that
   * uses nothing but its arguments and its module's top-level names, or a text that yields a
   * function among the main script's top-level names and the globals.
   *
   * Throws `FunctionError` for a function that cannot travel, `PoolClosedError` after `close` or
   * `terminate`, `QueueFullError` past the pool's `queueLimit`. All else comes from the handle:
   * `ValueError` for an argument or a result that cannot travel, `FunctionError` for a function
   * that turns out to need a variable of an enclosing one, and whatever the function threw.
   *
   * Arguments are copied at the call, except the content of buffers of 64 KiB and more, which is
   * read when the task is sent: leave those unchanged until the task is settled.
   *
   * @example
   * const power = pool.async((base: number, exponent: number) => base ** exponent, 2, 10);
   * const hypot = pool.async<number>("Math.hypot", 3, 4);
   * console.log(await power, await hypot); // 1024 5
   */
  async<F extends TaskFunction>(
    fn: F,
    ...args: Parameters<F>
  ): MessageHandle<Awaited<ReturnType<F>>>;
  async<T = unknown, F extends TaskFunction | string = string>(
    fn: F,
    ...args: ArgumentsOf<F>
  ): MessageHandle<T>;
  async(fn: TaskFunction | string, ...args: unknown[]): MessageHandle<unknown> {
    return this.#caller.submit(fn, args, this.#options);
  }

  /**
   * Calls `fn(item, index)` for each item of any iterable, endless ones included, on all workers:
   * yields the results in the order of the items, or, awaited, gives all of them. Nothing happens
   * before the first `next` or `then`; from then on workers go on while the reader is busy. The
   * options of a call (`timeout`, `retries`, …) count for each item, which travel many at a time.
   *
   * The first failure, in the order of reading, is thrown after the results before it, and ends the
   * map; so does leaving the loop. With `settled` a failure ends nothing.
   *
   * Throws at the call what `async` throws for `fn`; `TypeError` for items that are not iterable,
   * `TypeError` or `RangeError` for a wrong option.
   *
   * @example
   * for await (const score of pool.map(evaluate, configurations())) console.log(score);
   * const squares = await pool.map((x: number) => x * x, [1, 2, 3]); // [1, 4, 9]
   */
  map<I, T>(
    fn: (item: I, index: number) => T,
    items: ItemsOf<I>,
    options: MapOptions<I> & { readonly settled: true },
  ): Results<Settled<Awaited<T>, I>>;
  map<I, T>(
    fn: (item: I, index: number) => T,
    items: ItemsOf<I>,
    options?: MapOptions<I>,
  ): Results<Awaited<T>>;
  map<T = unknown>(
    fn: string,
    items: ItemsOf<unknown>,
    options: MapOptions<unknown> & { readonly settled: true },
  ): Results<Settled<T>>;
  map<T = unknown>(fn: string, items: ItemsOf<unknown>, options?: MapOptions<unknown>): Results<T>;
  map(fn: TaskFunction | string, items: unknown, options: MapOptions = {}): unknown {
    return this.#caller.map(fn, items, false, options, this.#options);
  }

  /**
   * The same for functions of several arguments: each item is a list of them, and the index
   * follows.
   *
   * @example
   * function power(base: number, exponent: number) { return base ** exponent; }
   * const powers = await pool.starmap(power, [[2, 3], [3, 2]]); // [8, 9]
   */
  starmap<F extends TaskFunction>(
    fn: F,
    tuples: ItemsOf<TupleOf<F>>,
    options: MapOptions<TupleOf<F>> & { readonly settled: true },
  ): Results<Settled<Awaited<ReturnType<F>>, TupleOf<F>>>;
  starmap<F extends TaskFunction>(
    fn: F,
    tuples: ItemsOf<TupleOf<F>>,
    options?: MapOptions<TupleOf<F>>,
  ): Results<Awaited<ReturnType<F>>>;
  starmap<T = unknown>(
    fn: string,
    tuples: ItemsOf<readonly unknown[]>,
    options: MapOptions<readonly unknown[]> & { readonly settled: true },
  ): Results<Settled<T, readonly unknown[]>>;
  starmap<T = unknown>(
    fn: string,
    tuples: ItemsOf<readonly unknown[]>,
    options?: MapOptions<readonly unknown[]>,
  ): Results<T>;
  starmap(fn: TaskFunction | string, tuples: unknown, options: MapOptions = {}): unknown {
    return this.#caller.map(fn, tuples, true, options, this.#options);
  }
}

/**
 * `pool.with(options)`: the pool, with other options for the calls made through it; can be kept.
 */
export type PoolView = PoolCalls;

// Except the calls that come by the million, which see to it themselves.
keepWhole([PoolCalls.prototype], ["async"]);

bindToProcess(PoolCalls, "call its methods where its pool was opened");
