import { CancelledError, type MpiError } from "../errors.ts";
import { ProgressLoop } from "../link/progress-loop.ts";
import { spinOf } from "../job/job.ts";
import type { Mpi } from "../mpi/mpi.ts";
import { runningMpi } from "../mpi/start.ts";
import { newPromise } from "../os/natives.ts";
import { breathe, isTimed } from "../os/whole.ts";
import { EMPTY, readStatus, STATUS, type Status } from "./status.ts";

/** The operation of an open request. `test` and `wait` throw its failure, once. */
export interface PendingOperation<T> {
  /** For messages, as "receive up to Float64Array(3) from rank 1 with tag 0". */
  describe(): string;
  /** The outcome if it is done, else null. */
  test(): { readonly value: T } | null;
  /** As `test`, right after `progressUnmatched`, which has done part of it. */
  testOnly?(): { readonly value: T } | null;
  /** Blocks until it is done. */
  wait(): T;
  /**
   * Gives it up: returns null, or the outcome if it was done already. Throws if it cannot be given
   * up; then it goes on.
   */
  cancel(): Outcome<T> | null;
}

export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** The outcome of `action`. */
export function outcomeOf<T>(action: () => T): Outcome<T> {
  try {
    return { value: action() };
  } catch (error) {
    return { error };
  }
}

/**
 * A send or receive that goes on while the program does something else (MPI 4.0 section 3.7). Its
 * array belongs to MPI until it is done: do not write an array being sent, nor read one being
 * received.
 *
 * An `await` keeps the event loop alive and leaves the thread to others; several go on together in
 * `Promise.all`. MPI moves data only while the process calls it: a request that is neither awaited,
 * tested nor waited for may stand still.
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
  /** The program has seen its outcome. */
  #isTold = false;
  /** The promise of its `await`s; not of T, so that a `Request<T>` is a `Request<unknown>`. */
  #settled: PromiseWithResolvers<unknown> | null = null;

  /** @internal Requests come from `isend`, `irecv` and their object forms. */
  constructor(mpi: Mpi, operation: PendingOperation<T>) {
    this.#mpi = mpi;
    this.#operation = operation;
    sweep(this);
  }

  /** Whether `test`, `wait` or an `await` has seen its end. */
  get done(): boolean {
    return this.#outcome !== null;
  }

  /**
   * Whether it is done (MPI_Test, section 3.7.3). Never blocks. Throws `MpiError` if it has failed.
   *
   * @example
   * while (!request.test()) step();
   */
  test(): boolean {
    if (this.#outcome === null && unmatched.size > 0) progressUnmatched();
    if (this.#outcome === null) this.#run((operation) => operation.test());
    if (this.#outcome === null) return false;
    this.#tell();
    return true;
  }

  /**
   * Waits until it is done (MPI_Wait, section 3.7.3). Blocks the thread: no timer, promise or pool
   * of this process progresses. Throws `MpiError` if it has failed. May be called again.
   */
  wait(): T {
    if (this.#outcome === null) this.#end();
    return this.#tell();
  }

  /**
   * Gives up a receive whose message has not come (MPI_Cancel, section 3.8.4); it then fails with
   * `CancelledError`. False if it was done already. A send cannot be given up: that is an
   * `MpiError`.
   */
  cancel(): boolean {
    if (this.#outcome !== null) return false;
    const operation = this.#operation!;
    const outcome = operation.cancel();
    this.#settle(
      outcome ?? { error: new CancelledError(`Cannot ${operation.describe()}: it was given up`) },
    );
    return outcome === null;
  }

  /** Awaits it. The event loop goes on meanwhile. */
  then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    // `any`, as in every promise: a listener declares the errors it expects.
    onRejected?: ((error: any) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    if (this.#settled === null) {
      this.#settled = newPromise();
      if (this.#outcome === null) watch(this, this.#mpi);
      else this.#resolve(this.#outcome);
    }
    return (this.#settled.promise as Promise<T>).then(onFulfilled, onRejected);
  }

  /**
   * @internal Whether it is done, called after `progressUnmatched`; a failure is kept for `test`
   * and `wait`.
   */
  progress(): boolean {
    if (this.#outcome === null) {
      this.#run((operation) =>
        operation.testOnly === undefined ? operation.test() : operation.testOnly(),
      );
    }
    return this.#outcome !== null;
  }

  /**
   * Waits until all are done (MPI_Waitall, section 3.7.5), in any order. Blocks the thread. Throws
   * the first failure, in the order of `requests`, once all are done.
   */
  static waitAll<T>(requests: Iterable<Request<T>>): T[] {
    const all = [...requests];
    for (const request of all) if (!request.done) request.#end();
    return all.map((request) => request.#tell());
  }

  /**
   * Waits until one is done, and returns its index (MPI_Waitany, section 3.7.5). Requests whose end
   * the program has seen, by `waitAny`, `test`, `wait` or an `await`, no longer count; -1 if there
   * are no others. Blocks the thread. Throws if that request has failed.
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

  /** Blocks until it is done. */
  #end(): void {
    for (; unmatched.size > 0 && !this.progress(); breathe()) progressUnmatched();
    if (isTimed) waitInSteps(() => this.progress());
    if (this.#outcome === null) this.#run((operation) => ({ value: operation.wait() }));
  }

  #run(step: (operation: PendingOperation<T>) => Outcome<T> | null): void {
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
 * Open requests: MPI uses their memory, which nothing else may hold. Requests that the program has
 * forgotten are tested whenever the number of open ones has doubled.
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
 * Object receives without a message: MPI does not know of them, so they have to be matched here.
 */
export const unmatched = new Set<{ advance(): void }>();

/**
 * Matches messages to object receives, of which MPI knows nothing. Every blocking call runs it, or
 * two ranks could wait for each other.
 */
export function progressUnmatched(): void {
  for (const one of unmatched) one.advance();
}

/** Waits in JavaScript, not in MPI: where a timeout is to interrupt the task that waits. */
export function waitInSteps(isDone: () => boolean): void {
  for (; !isDone(); breathe()) runningMpi()!.yieldCore();
}

const awaited = new Set<Request<unknown>>();
let loop: ProgressLoop | null = null;

function watch(request: Request<unknown>, mpi: Mpi): void {
  loop ??= new ProgressLoop(SOURCE, spinOf(mpi));
  awaited.add(request);
  loop.wake();
}

/** MPI cannot wake a sleeper: the loop polls again after 1 to 5 ms. */
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
  yieldCore: () => runningMpi()!.yieldCore(),
  peerSeesSleep: false,
  arm: () => true,
  disarm() {},
  sleepMs: (quietMs: number) => Math.min(1 + quietMs / 10, 5),
};

/** @internal */
type Symbols = ReturnType<Mpi["comm"]>;

/** @internal The operation of one of MPI's own requests. */
export class MpiOperation implements PendingOperation<Status> {
  readonly #lib: Symbols;
  readonly #id: number;
  readonly #receives: boolean;
  readonly describe: () => string;
  readonly #failure: (code: number, note?: string) => MpiError;
  /** MPI reads or writes this memory: it must stay alive. */
  readonly held: unknown;

  constructor(
    lib: Symbols,
    id: number,
    held: unknown,
    receives: boolean,
    describe: () => string,
    failure: (code: number, note?: string) => MpiError,
  ) {
    this.#lib = lib;
    this.#id = id;
    this.held = held;
    this.#receives = receives;
    this.describe = describe;
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
