import { ValueError } from "../errors.ts";
import { Collectives } from "./collectives.ts";
import type { MpiBuffer } from "./datatypes.ts";
import { Mistake } from "./base.ts";
import { ObjectReceives } from "./object-receives.ts";
import { decodeFrom, decodeObject, encodeObject } from "./object-codec.ts";
import { MAX, Operation, SUM } from "./operations.ts";
import { bufferedSend, BufferedSend, waitForRoom } from "./buffered-sends.ts";
import { progressUnmatched, Request, waitInSteps } from "./request.ts";
import { ANY_SOURCE, ANY_TAG, type Status } from "./status.ts";

/** Combines two values: an operation, or a function of the two. */
export type Combine<T> = Operation | ((a: T, b: T) => T);

/** Instead of a length: this rank has nothing to send but an error. */
const UNSENDABLE = -1;

/**
 * Messages of any values, as a pool's arguments: all that structured clone carries, and errors.
 * Each is copied, in the sender and in the receiver; functions do not travel. A value that cannot
 * travel is a `ValueError` with its path, on every rank that takes part.
 */
export abstract class ObjectMessages extends Collectives {
  #inbox: ObjectReceives | null = null;

  /**
   * @internal MPI does not know of object receives. Those that wait come first, as its own receives
   * that were posted earlier do.
   */
  protected override get waitsInSteps(): boolean {
    return super.waitsInSteps || this.#inbox?.waiting === true;
  }

  override recv(view: MpiBuffer, source = ANY_SOURCE, tag = ANY_TAG): Status {
    if (!this.waitsInSteps) return super.recv(view, source, tag);
    // A receive that a timeout interrupts before its message has come would take a later one.
    const found = this.probe(source, tag);
    return this.irecv(view, found.source, found.tag).wait();
  }

  override probe(source = ANY_SOURCE, tag = ANY_TAG): Status {
    let found: Status | null = null;
    waitInSteps(() => !this.waitsInSteps || (found = this.iprobe(source, tag)) !== null);
    return found ?? super.probe(source, tag);
  }

  override iprobe(source = ANY_SOURCE, tag = ANY_TAG): Status | null {
    void this.lib; // throws if this code may not communicate, before any receive progresses
    for (;;) {
      if (this.#inbox?.waiting) progressUnmatched();
      const found = super.iprobe(source, tag);
      if (found === null || !this.#inbox?.wants(found)) return found;
    }
  }

  /**
   * Sends any value, which `recvObject` receives. It is copied, and the call does not wait until it
   * is received, unless more than 64 MiB are being sent by this process: then the thread is blocked
   * until some of it has been received.
   *
   * @example
   * world.sendObject({ step: 3, positions: new Map([["a", 1.5]]) }, 1);
   */
  sendObject(value: unknown, dest: number, tag = 0): void {
    bufferedSend(this, encodeObject(value), dest, tag);
    waitForRoom();
  }

  /**
   * Starts to send any value. It is copied at once: the program may change it afterwards. The
   * request is done when `sendObject` would return.
   *
   * @example
   * await world.isendObject({ step: 3 }, 1);
   */
  isendObject(value: unknown, dest: number, tag = 0): Request {
    const request = bufferedSend(this, encodeObject(value), dest, tag);
    return new Request(this.mpi, new BufferedSend(request));
  }

  /**
   * Receives a value. Blocks the thread until one of `source` with `tag` has come; both are any if
   * left out. Its sender is written into `status`, if given. From `PROC_NULL` it is undefined.
   * Throws `ValueError` for a message of `send`.
   *
   * @example
   * const from = {} as Status;
   * const answer = world.recvObject<Answer>(ANY_SOURCE, 7, from);
   */
  recvObject<T = unknown>(source = ANY_SOURCE, tag = ANY_TAG, status?: Partial<Status>): T {
    if (this.#inbox?.waiting) {
      // Behind the receives that wait already, in their order.
      const request = this.#inbox.receive(source, tag, status);
      return request.wait() as T;
    }
    const found = this.probe(source, tag);
    const bytes = new Uint8Array(new ArrayBuffer(found.count));
    this.recv(bytes, found.source, found.tag);
    if (status !== undefined) Object.assign(status, found);
    return decodeFrom(source, bytes) as T;
  }

  /**
   * Starts to receive a value, which is the request's result.
   *
   * @example
   * const { step } = await world.irecvObject<{ step: number }>(0);
   */
  irecvObject<T = unknown>(
    source = ANY_SOURCE,
    tag = ANY_TAG,
    status?: Partial<Status>,
  ): Request<T> {
    this.#inbox ??= new ObjectReceives({
      mpi: this.mpi,
      iprobe: (source, tag) => super.iprobe(source, tag),
      irecv: (view, source, tag) => super.irecv(view, source, tag),
    });
    return this.#inbox.receive(source, tag, status) as Request<T>;
  }

  /**
   * Sends a value and receives another at once. Blocks the thread.
   *
   * @example
   * const [next, previous] = [(rank + 1) % size, (rank + size - 1) % size];
   * const left = world.sendrecvObject<string>("from the left", next, previous);
   */
  sendrecvObject<T = unknown>(
    value: unknown,
    dest: number,
    source = ANY_SOURCE,
    sendTag = 0,
    recvTag = ANY_TAG,
  ): T {
    const request = this.isendObject(value, dest, sendTag);
    const received = this.recvObject<T>(source, recvTag);
    request.wait();
    return received;
  }

  /**
   * Gives every rank the root's value; the values of other ranks are ignored.
   *
   * @example
   * const config = world.bcastObject(world.rank === 0 ? await readConfig() : null);
   */
  bcastObject<T>(value: T, root = 0): T {
    const isRoot = this.rank === root;
    const own = isRoot ? this.#encode(value) : NOT_MINE;
    const length = this.bcast(Float64Array.of(own.length), root)[0]!;
    this.#allSendable([length], own, () => root);
    const bytes = isRoot ? own.bytes : new Uint8Array(new ArrayBuffer(length));
    this.bcast(bytes, root);
    return isRoot ? value : (decodeObject(bytes) as T);
  }

  /**
   * The values of all ranks, by rank, on the root; null on the others.
   *
   * @example
   * const hosts = world.gatherObject(processorName());
   * if (hosts !== null) console.log(new Set(hosts).size, "hosts");
   */
  gatherObject<T>(value: T, root = 0): T[] | null {
    this.checkRoot(root, () => `gather to root ${root}`);
    const own = this.#encode(value);
    const lengths = this.allgather(Float64Array.of(own.length));
    this.#allSendable(lengths, own);
    const { counts, bytes } = this.#padded(own.bytes, lengths);
    const all = this.gatherv(bytes, null, counts, root);
    return all === null ? null : decodeEach<T>(all, counts, lengths);
  }

  /**
   * The values of all ranks, by rank, on every rank.
   *
   * @example
   * const names = world.allgatherObject(name); // names[world.rank] is this rank's own
   */
  allgatherObject<T>(value: T): T[] {
    const own = this.#encode(value);
    const lengths = this.allgather(Float64Array.of(own.length));
    this.#allSendable(lengths, own);
    const { counts, bytes } = this.#padded(own.bytes, lengths);
    return decodeEach<T>(this.allgatherv(bytes, null, counts), counts, lengths);
  }

  /**
   * Gives value i of the root's list to rank i; the lists of other ranks are ignored. Without as
   * many values as ranks the root throws `MpiError`, and the others `ValueError`: no rank is left
   * waiting.
   *
   * @example
   * const part = world.scatterObject(world.rank === 0 ? splitInto(world.size, rows) : null);
   */
  scatterObject<T>(values: readonly T[] | null | undefined, root = 0): T {
    const isRoot = this.rank === root;
    const own = isRoot ? this.#encodeEach(values, "scatter") : null;
    const lengths = own?.lengths ?? new Float64Array(this.size);
    this.bcast(lengths, root);
    this.#allSendable(lengths, own ?? NOT_MINE, () => root);
    const unit = unitOf(lengths);
    const counts = lengths.map((length) => roundUp(length, unit));
    const bytes = new Uint8Array(new ArrayBuffer(counts[this.rank]!));
    this.scatterv(own === null ? null : joined(own.parts, counts), counts, bytes, root);
    return decodeObject(bytes.subarray(0, lengths[this.rank])) as T;
  }

  /**
   * Gives value i of this rank's list to rank i; returns the values that the ranks had for this
   * one, by rank. A list of another length than the number of ranks is a `MpiError` on its rank,
   * and a `ValueError` on the others.
   *
   * @example
   * const received = world.alltoallObject(byRank); // received[i] is what rank i had for this one
   */
  alltoallObject<T>(values: readonly T[]): T[] {
    const own = this.#encodeEach(values, "exchange");
    const lengths = this.alltoall(own.lengths);
    const failed = this.allgather(Float64Array.of(own.error === null ? 0 : UNSENDABLE));
    this.#allSendable(failed, own);
    const total = Math.max(sum(own.lengths), sum(lengths));
    const unit = unitOf(this.allreduce(Float64Array.of(total), MAX));
    const sendCounts = own.lengths.map((length) => roundUp(length, unit));
    const counts = lengths.map((length) => roundUp(length, unit));
    const bytes = this.alltoallv(joined(own.parts, sendCounts), sendCounts, null, counts);
    return decodeEach<T>(bytes, counts, lengths);
  }

  /**
   * Combines the values of all ranks on the root, from rank 0 upward: `f(f(v0, v1), v2)`. Null on
   * the others.
   *
   * @example
   * const longest = world.reduceObject(name, (a, b) => (b.length > a.length ? b : a));
   */
  reduceObject<T>(value: T, op: Combine<T> = SUM, root = 0): T | null {
    const combine = this.#combining(op);
    const values = this.gatherObject(value, root);
    return values === null ? null : values.reduce(combine);
  }

  /**
   * As `reduceObject`, with the result on every rank.
   *
   * @example
   * const most = world.allreduceObject(2n ** BigInt(world.rank), MAX);
   */
  allreduceObject<T>(value: T, op: Combine<T> = SUM): T {
    const combine = this.#combining(op);
    return this.allgatherObject(value).reduce(combine);
  }

  /**
   * Combines the values of the ranks up to this one.
   *
   * @example
   * const path = world.scanObject(name, (a, b) => `${a}/${b}`);
   */
  scanObject<T>(value: T, op: Combine<T> = SUM): T {
    const combine = this.#combining(op);
    return this.allgatherObject(value)
      .slice(0, this.rank + 1)
      .reduce(combine);
  }

  #encode(value: unknown): Own {
    try {
      const bytes = encodeObject(value);
      return { bytes, length: bytes.byteLength, error: null };
    } catch (error) {
      return { bytes: NO_BYTES, length: UNSENDABLE, error };
    }
  }

  #encodeEach(values: unknown, action: string): OwnParts {
    if (!Array.isArray(values) || values.length !== this.size) {
      const note = `it takes a list of ${this.size} values, one for each rank, got `;
      const got = Array.isArray(values) ? `${values.length}` : Bun.inspect(values);
      const error = this.mistake(Mistake.Count, `${action} values`, note + got);
      return { parts: [], lengths: new Float64Array(this.size).fill(UNSENDABLE), error };
    }
    // Not `map`, which skips the holes of a list.
    const parts = Array.from(values, (value) => this.#encode(value));
    const error = parts.find((part) => part.error !== null)?.error ?? null;
    const lengths = Float64Array.from(parts, ({ length }) => length);
    return { parts: parts.map(({ bytes }) => bytes), lengths, error };
  }

  /** Throws on every rank if one has nothing to send: by now all know, and none waits for it. */
  #allSendable(
    lengths: ArrayLike<number>,
    own: { readonly error: unknown },
    rankOf = (index: number) => index,
  ): void {
    if (own.error !== null) throw own.error;
    const index = Array.from(lengths).indexOf(UNSENDABLE);
    if (index < 0) return;
    throw new ValueError(
      `Cannot receive the value of rank ${rankOf(index)} of ${this.name}: it could not be sent; ` +
        "that rank has an error that says why",
    );
  }

  /**
   * Lengths that an MPI which counts in 32 bits can count: beyond 2 GiB in all, padded to a common
   * unit.
   */
  #padded(bytes: Uint8Array, lengths: Float64Array): { counts: Float64Array; bytes: Uint8Array } {
    const unit = unitOf(lengths);
    const counts = lengths.map((length) => roundUp(length, unit));
    return { counts, bytes: unit === 1 ? bytes : joined([bytes], [counts[this.rank]!]) };
  }

  #combining<T>(op: Combine<T>): (a: T, b: T) => T {
    if (op instanceof Operation) return op.combine as (a: T, b: T) => T;
    if (typeof op === "function") return (a, b) => op(a, b);
    const note = `an operation or a function of two values, got ${Bun.inspect(op)}`;
    throw this.mistake(Mistake.Op, "reduce values", note);
  }
}

interface Own {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly error: unknown;
}

interface OwnParts {
  readonly parts: readonly Uint8Array[];
  readonly lengths: Float64Array;
  readonly error: unknown;
}

const NO_BYTES = new Uint8Array(0);
const NOT_MINE: Own = { bytes: NO_BYTES, length: 0, error: null };

/** The most that 32 bits count. */
const MOST = 2 ** 31 - 1;

/** All lengths are rounded up to a multiple of these bytes, so that their sum can be counted. */
function unitOf(lengths: Float64Array): number {
  const total = sum(lengths);
  // Twice as much room as the sum needs: rounding up adds to it.
  return total <= MOST ? 1 : 2 ** Math.ceil(Math.log2((2 * total) / MOST) + 10);
}

function roundUp(length: number, unit: number): number {
  return Math.ceil(length / unit) * unit;
}

function sum(numbers: Float64Array): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** The parts one behind the other, each in so many bytes. */
function joined(parts: readonly Uint8Array[], counts: ArrayLike<number>): Uint8Array {
  let length = 0;
  for (let i = 0; i < parts.length; i++) length += counts[i]!;
  const bytes = new Uint8Array(new ArrayBuffer(length));
  let at = 0;
  parts.forEach((part, i) => {
    bytes.set(part, at);
    at += counts[i]!;
  });
  return bytes;
}

function decodeEach<T>(bytes: Uint8Array, counts: Float64Array, lengths: Float64Array): T[] {
  let at = 0;
  return Array.from(counts, (count, i) => {
    const part = bytes.subarray(at, at + lengths[i]!);
    at += count;
    return decodeObject(part) as T;
  });
}
