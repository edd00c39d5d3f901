import { Fifo } from "../collections/fifo.ts";
import { CancelledError } from "../errors.ts";
import { newPromise, Promise } from "../os/natives.ts";
import { isWatched, keepWhole, whole } from "../os/whole.ts";
import { bindToProcess } from "../codec/refusal.ts";
import type { MapCall, MapPool } from "./map-call.ts";
import type { ProgressSource, ProgressSources } from "../watch/progress-sources.ts";
import { showProgress } from "../watch/lazy.ts";
import type { ProgressShow } from "../watch/progress.ts";
import { sizeOf } from "./source.ts";
import { END, MapRun } from "./map-run.ts";
import { Failure, PENDING } from "./outcomes.ts";

/** A call of `next` that waits. Methods: then `Results<number>` are `Results<unknown>`, too. */
interface Reader<T> {
  resolve(step: IteratorResult<T, undefined>): void;
  reject(error: unknown): void;
}

/**
 * The results of `pool.map` or `pool.starmap`: an async iterator that can also be awaited, which
 * collects what it has not yielded yet. Nothing is taken from the source before the first `next` or
 * `then`; from then on workers go on while the reader is busy.
 *
 * The first failure, in the order of reading, is thrown after the results before it; then the map
 * is over, as it is when its reader leaves the loop: what is queued of it is cancelled, what runs
 * is told by its signal, and the source is closed.
 *
 * @example
 * for await (const score of pool.map(evaluate, configurations())) console.log(score);
 * const all = await pool.map(evaluate, list);
 */
export class Results<T> implements PromiseLike<T[]> {
  readonly #pool: MapPool;
  readonly #call: MapCall;
  readonly #runs: Set<MapRun>;
  readonly #progressSources: ProgressSources | null;
  #run: MapRun | null = null;
  #isLeft = false;
  /** Calls of `next` that wait, in their order. */
  readonly #readers = new Fifo<Reader<T>>();
  #collected: Promise<T[]> | null = null;
  /** Goes on to collect. */
  #collect: (() => void) | null = null;
  /** Rejects what is being collected: part of the results could be taken for all. */
  #leaveCollected = (): void => {};

  /** @internal Made by `pool.map`. */
  constructor(
    pool: MapPool,
    call: MapCall,
    runs: Set<MapRun>,
    progressSources: ProgressSources | null,
  ) {
    this.#pool = pool;
    this.#call = call;
    this.#runs = runs;
    this.#progressSources = progressSources;
  }

  /** The next result. Several calls may wait at once; they are answered in their order. */
  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#readers.length === 0) {
      const outcome = this.#read();
      if (outcome !== PENDING) return settledAs<T>(outcome);
    }
    const reader = newPromise<IteratorResult<T, undefined>>();
    this.#readers.push(reader);
    this.#pool.onReading?.(true);
    return reader.promise;
  }

  /** Ends the map; resolves when its source is closed, and rejects if that throws. */
  async return(): Promise<IteratorReturnResult<undefined>> {
    this.#isLeft = true;
    const left = this.#run?.leave();
    this.#pool.onReading?.(false);
    for (const reader of this.#readers.takeAll()) reader.resolve({ done: true, value: undefined });
    if (this.#collect !== null) this.#leaveCollected();
    await left;
    return { done: true, value: undefined };
  }

  then<A = T[], B = never>(
    onDone?: ((value: T[]) => A | PromiseLike<A>) | null,
    onFailed?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return (this.#collected ??= this.#collectAll()).then(onDone, onFailed);
  }

  catch<B = never>(onFailed?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<T[] | B> {
    return this.then(null, onFailed);
  }

  finally(onSettled?: (() => void) | null): Promise<T[]> {
    return this.then().finally(onSettled);
  }

  #read(): unknown {
    if (this.#isLeft) return END;
    return isWatched ? whole(() => this.#running().read()) : this.#running().read();
  }

  #running(): MapRun {
    if (this.#run !== null) return this.#run;
    const { settings, fn, items, isStar } = this.#call;
    let progress: ProgressShow | null = null;
    const onEnd = () => {
      this.#runs.delete(run);
      this.#progressSources?.delete(progressSource);
      progress?.end();
    };
    const run = new MapRun(this.#pool, this.#call, this.#onOutcome, onEnd);
    this.#run = run;
    this.#runs.add(run);
    const look = () => ({
      done: run.arrived - run.cancelled,
      failed: run.failures,
      total: sizeOf(items),
    });
    const progressSource: ProgressSource = {
      kind: isStar ? "starmap" : "map",
      name: () => fn.label,
      look,
    };
    this.#progressSources?.add(progressSource);
    if (settings.progress !== null && this.#pool.showsProgress === true) {
      progress = showProgress(settings.progress, fn.label, look);
    }
    run.start();
    return run;
  }

  readonly #onOutcome = (): void => {
    while (this.#readers.length > 0) {
      const outcome = this.#read();
      if (outcome === PENDING) return;
      const { resolve, reject } = this.#readers.shift()!;
      if (outcome instanceof Failure) reject(outcome.error);
      else resolve(stepOf<T>(outcome));
    }
    this.#collect?.();
    if (this.#collect === null) this.#pool.onReading?.(false);
  };

  #collectAll(): Promise<T[]> {
    const { promise, resolve, reject } = newPromise<T[]>();
    const results: T[] = [];
    this.#leaveCollected = () => {
      this.#collect = null;
      reject(new CancelledError("Cannot collect the results of a map: its return was called"));
    };
    this.#collect = () => {
      for (;;) {
        const outcome = this.#read();
        if (outcome === PENDING) return;
        if (outcome === END || outcome instanceof Failure) {
          this.#collect = null;
          return outcome === END ? resolve(results) : reject((outcome as Failure).error);
        }
        results.push(outcome as T);
      }
    };
    if (this.#readers.length === 0) this.#collect();
    if (this.#collect !== null) this.#pool.onReading?.(true);
    return promise;
  }
}

// Declared, since the class has them from the engine's own prototype of async iterators.
export interface Results<T> extends AsyncIteratorObject<T, undefined, void> {}

const asyncGenerator = Object.getPrototypeOf(async function* () {}).prototype as object;
Object.setPrototypeOf(Results.prototype, Object.getPrototypeOf(asyncGenerator) as object);

// Except the one that comes by the million, which sees to it itself.
keepWhole([Results.prototype], ["next"]);

bindToProcess(Results, "read it, and pass the results");

function settledAs<T>(outcome: unknown): Promise<IteratorResult<T, undefined>> {
  if (outcome instanceof Failure) return Promise.reject(outcome.error);
  return Promise.resolve(stepOf<T>(outcome));
}

function stepOf<T>(outcome: unknown): IteratorResult<T, undefined> {
  if (outcome === END) return { done: true, value: undefined };
  return { done: false, value: outcome as T };
}
