import { CancelledError, type MpiError } from "../errors.ts";
import { ProgressLoop } from "../link/progress-loop.ts";
import { spinOf } from "../job/job.ts";
import type { Mpi } from "../mpi/mpi.ts";
import { runningMpi } from "../mpi/start.ts";
import { newPromise } from "../os/natives.ts";
import { breathe } from "../os/whole.ts";
import { EMPTY, readStatus, STATUS, type Status } from "./status.ts";

/**
 * What a request stands for, while it is open. `test` and `wait` throw what went wrong with it,
 * once.
 */
export interface PendingOperation<T> {
  /** For messages, as "receive up to Float64Array(3) from rank 1 with tag 0". */
  describe(): string;
  /** The outcome, if it is done. */
  test(): { readonly value: T } | null;
  /** The same right after `lookAfter`, where that has done part of it. */
  testOnly?(): { readonly value: T } | null;
  /** Blocks until it is. */
  wait(): T;
  /**
   * Gives it up; the outcome, if it was over already. Throws where it cannot be given up, and goes
   * on.
   */
  cancel(): Outcome<T> | null;
}

export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** How a deed ends. */
export function outcomeOf<T>(deed: () => T): Outcome<T> {
  try {
    return { value: deed() };
  } catch (error) {
    return { error };
  }
}

/**
 * A send or receive that goes on while the program does something else (MPI 4.0 section 3.7). Its
 * array is MPI's until it is done: neither write what is being sent, nor read what is being
 * received.
 *
 * To `await` it keeps the event loop alive and leaves the thread to others; several go on together
 * in `Promise.all`. MPI moves data only while the process calls it: a request that is neither
 * awaited, nor tested or waited for, may stand still.
 *
 * @example
 * const halo = new Float64Array(1000);
 * const requests = [world.irecv(halo, left), world.isend(edge, right)];
 * compute();
 * await Promise.all(requests);
 */
export class Request<T = Status> implements PromiseLike<T> {
  readonly #mpi: Mpi;
  #operation: PendingOperation<T> | null;
  #outcome: Outcome<T> | null = null;
  /** The program knows how it has ended. */
  #isTold = false;
  /** What awaits it; not of T, for a `Request<T>` to be a `Request<unknown>`. */
  #settled: PromiseWithResolvers<unknown> | null = null;

  /** @internal Requests come from `isend`, `irecv` and their object forms. */
  constructor(mpi: Mpi, course: PendingOperation<T>) {
    this.#mpi = mpi;
    this.#operation = course;
    sweep(this);
  }

  /** Whether `test`, `wait` or an `await` has seen its end. */
  get done(): boolean {
    return this.#outcome !== null;
  }

  /**
   * Is it done (MPI_Test, section 3.7.3)? Never blocks. Throws `MpiError` where it has failed.
   *
   * @example
   * while (!request.test()) step();
   */
  test(): boolean {
    if (this.#outcome === null && unmatched.size > 0) progressUnmatched();
    if (this.#outcome === null) this.#run((course) => course.test());
    if (this.#outcome === null) return false;
    this.#tell();
    return true;
  }

  /**
   * Waits until it is done (MPI_Wait, section 3.7.3). Blocks the thread: no timer, no promise and
   * no pool of this process gets its turn. Throws `MpiError` where it has failed. May be called
   * again.
   */
  wait(): T {
    if (this.#outcome === null) this.#end();
    return this.#tell();
  }

  /**
   * Gives up a receive that nothing has come for (MPI_Cancel, section 3.8.4); it then fails with
   * `CancelledError`. False if it was done already. A send cannot be given up: that is an
   * `MpiError`.
   */
  cancel(): boolean {
    if (this.#outcome !== null) return false;
    const course = this.#operation!;
    const outcome = course.cancel();
    this.#settle(
      outcome ?? { error: new CancelledError(`Cannot ${course.describe()}: it was given up`) },
    );
    return outcome === null;
  }

  /** Awaits it. The event loop goes on meanwhile. */
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    // `any`, as in every promise: a listener says itself what errors it expects.
    onRejected?: ((error: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    if (this.#settled === null) {
      this.#settled = newPromise();
      if (this.#outcome === null) watch(this, this.#mpi);
      else this.#resolve(this.#outcome);
    }
    return (this.#settled.promise as Promise<T>).then(onFulfilled, onRejected);
  }

  /** @internal Looks whether it is done, after `lookAfter`; its failure is told to whoever asks. */
  progress(): boolean {
    if (this.#outcome === null) {
      this.#run((course) => (course.testOnly === undefined ? course.test() : course.testOnly()));
    }
    return this.#outcome !== null;
  }

  /**
   * Waits until all are done (MPI_Waitall, section 3.7.5), in any order. Blocks the thread. Throws
   * the first failure in their order, once all are over.
   */
  static waitAll<T>(requests: Iterable<Request<T>>): T[] {
    const all = [...requests];
    for (const request of all) if (!request.done) request.#end();
    return all.map((request) => request.#tell());
  }

  /**
   * Waits until one is done, and returns its index (MPI_Waitany, section 3.7.5). Those whose end
   * the program knows, by `waitAny`, `test`, `wait` or an `await`, do not count any more; -1 if
   * there are no others. Blocks the thread. Throws where that one has failed.
   *
   * @example
   * for (let i; (i = Request.waitAny(receives)) >= 0; ) use(arrays[i]); // each once, as they come
   */
  static waitAny(requests: Iterable<Request<unknown>>): number {
    const all = [...requests];
    const left = all.filter((request) => !request.#isTold);
    for (; left.length > 0; breathe()) {
      const done = left.find((request) => request.test());
      if (done !== undefined) return all.indexOf(done);
    }
    return -1;
  }

  /** Blocks until it is over. */
  #end(): void {
    for (; unmatched.size > 0 && !this.progress(); breathe()) progressUnmatched();
    if (this.#outcome === null) this.#run((course) => ({ value: course.wait() }));
  }

  #run(step: (course: PendingOperation<T>) => Outcome<T> | null): void {
    let outcome: Outcome<T> | null;
    try {
      outcome = step(this.#operation!);
    } catch (error) {
      outcome = { error };
    }
    if (outcome !== null) this.#settle(outcome);
  }

  #settle(outcome: Outcome<T>): void {
    this.#outcome = outcome;
    this.#operation = null;
    open.delete(this as Request<unknown>);
    if (this.#settled !== null) this.#resolve(outcome);
  }

  #resolve(outcome: Outcome<T>): void {
    this.#isTold = true;
    if ("value" in outcome) this.#settled!.resolve(outcome.value);
    else this.#settled!.reject(outcome.error);
  }

  #tell(): T {
    const outcome = this.#outcome!;
    this.#isTold = true;
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }
}

/**
 * Requests that are not over: MPI reads and writes their memory though nobody else may hold it.
 * Those that the program has forgotten are looked after whenever their number has doubled.
 */
const open = new Set<Request<unknown>>();
let sweepAt = 64;

function sweep(request: Request<unknown>): void {
  open.add(request);
  if (open.size < sweepAt) return;
  progressUnmatched();
  for (const other of open) if (other !== request) other.progress();
  sweepAt = Math.max(64, 2 * open.size);
}

/**
 * Where receives wait that MPI does not know of yet: it has to be looked for what they wait for.
 */
export const unmatched = new Set<{ advance(): void }>();

/**
 * Moves on what MPI cannot: whoever blocks does so meanwhile, for others may be waiting for just
 * that.
 */
export function progressUnmatched(): void {
  for (const one of unmatched) one.advance();
}

const awaited = new Set<Request<unknown>>();
let pump: ProgressLoop | null = null;

function watch(request: Request<unknown>, mpi: Mpi): void {
  pump ??= new ProgressLoop(SOURCE, spinOf(mpi));
  awaited.add(request);
  pump.wake();
}

/** MPI has no way to wake a sleeper: it looks again after 1 to 5 ms. */
const SOURCE = {
  poll(): boolean {
    let moved = false;
    progressUnmatched();
    for (const request of awaited) {
      if (!request.progress()) continue;
      awaited.delete(request);
      moved = true;
    }
    return moved;
  },
  isExpecting: () => awaited.size > 0,
  yieldCore: () => void runningMpi()!.wait(0, 1, 0, 1),
  peerSeesSleep: false,
  arm: () => true,
  disarm() {},
  sleepMs: (quietMs: number) => Math.min(1 + quietMs / 10, 5),
};

/** @internal */
type Symbols = ReturnType<Mpi["comm"]>;

/** @internal The course of a request of MPI's own. */
export class MpiOperation implements PendingOperation<Status> {
  readonly #lib: Symbols;
  readonly #id: number;
  readonly #receives: boolean;
  readonly describe: () => string;
  readonly #failure: (code: number, note?: string) => MpiError;
  /** MPI reads it, or writes to it: it must not go away. */
  readonly held: unknown;

  constructor(
    lib: Symbols,
    id: number,
    held: unknown,
    receives: boolean,
    deed: () => string,
    failure: (code: number, note?: string) => MpiError,
  ) {
    this.#lib = lib;
    this.#id = id;
    this.held = held;
    this.#receives = receives;
    this.describe = deed;
    this.#failure = failure;
  }

  test(): { value: Status } | null {
    const code = this.#lib.bsync_comm_test(this.#id, STATUS);
    return code === 0 ? null : { value: this.#end(code) };
  }

  wait(): Status {
    return this.#end(this.#lib.bsync_comm_wait(this.#id, STATUS));
  }

  cancel(): Outcome<Status> | null {
    const code = this.#lib.bsync_comm_cancel(this.#id, STATUS);
    if (code === 1) return null;
    if (!this.#receives) throw this.#failure(code, "a send cannot be given up, only a receive can");
    return outcomeOf(() => this.#end(code));
  }

  #end(code: number): Status {
    if (code < 0) throw this.#failure(code);
    return this.#receives ? readStatus() : EMPTY;
  }
}
