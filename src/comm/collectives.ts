import { type MpiArray, type MpiBuffer, shared } from "./datatypes.ts";
import { type Data, isInt, memory, Mistake } from "./base.ts";
import { Messages, shown } from "./messages.ts";
import { Operation, SUM } from "./operations.ts";

/** Counts or places, one for each rank. */
export type Counts = readonly number[] | Int32Array | Uint32Array | Float64Array;

/**
 * What all ranks of a communicator do together, with arrays. Every rank calls it, with the same
 * root and operation and arrays of the same kind; each call blocks the thread until this rank's
 * part is done.
 *
 * An array that has no datatype, or does not go with the others of the same call, is an `MpiError`
 * on the rank that gave it. The others learn nothing of it, as in C, and may wait for that rank:
 * left uncaught it ends the job. One that is too short for what other ranks send is
 * `MPI_ERR_TRUNCATE`, and nothing is written beyond it.
 *
 * Where an array to receive into may be left out, a new one is made; it is returned in either case.
 */
export abstract class Collectives extends Messages {
  /**
   * Waits until every rank has come to it (MPI_Barrier, MPI 4.0 section 6.3).
   *
   * @example
   * world.barrier();
   * const start = wtime(); // the ranks begin together
   */
  barrier(): void {
    const code = this.lib.bsync_comm_barrier(this.id);
    if (code < 0) throw this.error(code, "wait at a barrier");
  }

  /**
   * Gives every rank what `view` holds on the root (MPI_Bcast, MPI 4.0 section 6.4); returns
   * `view`.
   *
   * @example
   * const parameters = new Float64Array(3);
   * if (world.rank === 0) parameters.set([0.1, 2, 40]);
   * world.bcast(parameters);
   */
  bcast<T extends MpiBuffer>(view: T, root = 0): T {
    const data = this.data(view, "broadcast");
    const deed = () => `broadcast ${shown(data)} from root ${root}`;
    this.checkRoot(root, deed);
    const { array, type } = data;
    const code = this.lib.bsync_comm_bcast(memory(array), array.length, type.code, root, this.id);
    if (code < 0) throw this.error(code, deed());
    return view;
  }

  /**
   * Combines the arrays of all ranks, element by element, into one on the root (MPI_Reduce, MPI 4.0
   * section 6.9.1); null on the others, where `recv` may be null. With `send` as `recv` on the root
   * it is replaced (MPI_IN_PLACE).
   *
   * @example
   * const sums = world.reduce(Float64Array.of(hits, tries), SUM, 0);
   * if (sums !== null) console.log(sums[0] / sums[1]);
   */
  reduce<T extends MpiArray>(send: T, op?: Operation, root?: number): T | null;
  reduce<T extends MpiBuffer>(send: T, recv: T | null, op?: Operation, root?: number): T | null;
  reduce(
    send: MpiBuffer,
    second?: MpiBuffer | Operation | null,
    third?: Operation | number,
    fourth?: number,
  ): MpiBuffer | null {
    const short = second instanceof Operation || typeof third === "number";
    const op = (short ? second : third) ?? SUM;
    const root = ((short ? third : fourth) as number | undefined) ?? 0;
    const sent = this.data(send, "reduce");
    const deed = () => `reduce ${shown(sent)} by ${String(op)} to root ${root}`;
    this.#checkOperation(op, sent, deed);
    this.checkRoot(root, deed);
    const isRoot = this.rank === root;
    const into = isRoot
      ? this.#room(short ? null : second, sent, sent.array.length, deed, "in place")
      : nowhere(sent);
    const code = this.lib.bsync_comm_reduce(
      memory(sent.array),
      memory(into.array),
      sent.array.length,
      sent.type.reduced,
      op.code,
      root,
      Number(into.isInPlace),
      this.id,
    );
    if (code < 0) throw this.error(code, deed());
    return into.view;
  }

  /**
   * Combines the arrays of all ranks, element by element, on every rank (MPI_Allreduce, MPI 4.0
   * section 6.9.6). With `send` as `recv` it is replaced (MPI_IN_PLACE).
   *
   * @example
   * const [error] = world.allreduce(Float64Array.of(ownError), MAX);
   */
  allreduce<T extends MpiArray>(send: T, op?: Operation): T;
  allreduce<T extends MpiBuffer>(send: T, recv: T, op?: Operation): T;
  allreduce(send: MpiBuffer, second?: MpiBuffer | Operation, third?: Operation): MpiBuffer {
    return this.#reduceAll("allreduce", send, second, third);
  }

  /**
   * On each rank, what the ranks up to it make together (MPI_Scan, MPI 4.0 section 6.11.1): running
   * sums, for one. With `send` as `recv` it is replaced (MPI_IN_PLACE).
   *
   * @example
   * // This rank's part ends there, and starts at end - mine.length.
   * const [end] = world.scan(Int32Array.of(mine.length));
   */
  scan<T extends MpiArray>(send: T, op?: Operation): T;
  scan<T extends MpiBuffer>(send: T, recv: T, op?: Operation): T;
  scan(send: MpiBuffer, second?: MpiBuffer | Operation, third?: Operation): MpiBuffer {
    return this.#reduceAll("scan", send, second, third);
  }

  /**
   * Puts the arrays of all ranks, which are of one length, one behind the other on the root
   * (MPI_Gather, MPI 4.0 section 6.5); null on the others, where `recv` may be null.
   *
   * @example
   * const all = world.gather(mine); // on rank 0, size times as long
   */
  gather<T extends MpiArray>(send: T, root?: number): T | null;
  gather<T extends MpiBuffer>(send: T, recv: T | null, root?: number): T | null;
  gather(send: MpiBuffer, second?: MpiBuffer | number | null, third?: number): MpiBuffer | null {
    const short = typeof second === "number";
    const root = (short ? second : third) ?? 0;
    const sent = this.data(send, "gather");
    const { length } = sent.array;
    const deed = () => `gather ${shown(sent)} from each rank on root ${root}`;
    this.checkRoot(root, deed);
    const isRoot = this.rank === root;
    const into = isRoot
      ? this.#room(short ? null : second, sent, length * this.size, deed)
      : nowhere(sent);
    const code = this.lib.bsync_comm_gather(
      memory(sent.array),
      memory(into.array),
      length,
      sent.type.code,
      root,
      this.id,
    );
    if (code < 0) throw this.error(code, deed());
    return into.view;
  }

  /**
   * The same with arrays of any lengths (MPI_Gatherv, MPI 4.0 section 6.5): the root says how many
   * elements come from each rank, and where in `recv` they go, one behind the other if not said.
   *
   * @example
   * const counts = world.gather(Int32Array.of(mine.length)); // null but on rank 0
   * const all = world.gatherv(mine, null, counts);
   */
  gatherv<T extends MpiBuffer>(
    send: T,
    recv: T | null | undefined,
    counts?: Counts | null,
    root = 0,
    places?: Counts | null,
  ): T | null {
    const sent = this.data(send, "gather");
    const deed = () => `gather ${shown(sent)} on root ${root}`;
    this.checkRoot(root, deed);
    const isRoot = this.rank === root;
    const parts = isRoot ? this.#parts(counts, places, deed) : NO_PARTS;
    const into = isRoot ? this.#room(recv, sent, parts.length, deed, "longer") : nowhere(sent);
    const code = this.lib.bsync_comm_gatherv(
      memory(sent.array),
      sent.array.length,
      memory(into.array),
      parts.counts,
      parts.places,
      sent.type.code,
      root,
      this.id,
    );
    if (code < 0) throw this.error(code, deed());
    return into.view as T | null;
  }

  /**
   * Cuts the root's array into parts of one length and gives each rank its own (MPI_Scatter, MPI
   * 4.0 section 6.6): as many elements as `recv` holds. `send` may be null elsewhere. Returns
   * `recv`.
   *
   * @example
   * const mine = world.scatter(world.rank === 0 ? all : null, new Float64Array(100));
   */
  scatter<T extends MpiBuffer>(send: T | null | undefined, recv: T, root = 0): T {
    const into = this.data(recv, "scatter");
    const { length } = into.array;
    const deed = () => `scatter ${shown(into)} to each rank from root ${root}`;
    this.checkRoot(root, deed);
    const from = this.#source(send, into, root, length * this.size, deed);
    const code = this.lib.bsync_comm_scatter(
      memory(from.array),
      memory(into.array),
      length,
      into.type.code,
      root,
      this.id,
    );
    if (code < 0) throw this.error(code, deed());
    return recv;
  }

  /**
   * The same with parts of any lengths (MPI_Scatterv, MPI 4.0 section 6.6): the root says how many
   * elements go to each rank, and where in `send` they are; `recv` has room for its own.
   *
   * @example
   * const counts = Array.from({ length: world.size }, (_, rank) => rank + 1);
   * // `all` is read on rank 0.
   * const mine = world.scatterv(all, counts, new Float64Array(world.rank + 1));
   */
  scatterv<T extends MpiBuffer>(
    send: T | null | undefined,
    counts: Counts | null | undefined,
    recv: T,
    root = 0,
    places?: Counts | null,
  ): T {
    const into = this.data(recv, "scatter");
    const deed = () => `scatter ${shown(into)} from root ${root}`;
    this.checkRoot(root, deed);
    const parts = this.rank === root ? this.#parts(counts, places, deed) : NO_PARTS;
    const from = this.#source(send, into, root, parts.length, deed);
    const code = this.lib.bsync_comm_scatterv(
      memory(from.array),
      parts.counts,
      parts.places,
      memory(into.array),
      into.array.length,
      into.type.code,
      root,
      this.id,
    );
    if (code < 0) throw this.error(code, deed());
    return recv;
  }

  /**
   * `gather` on every rank (MPI_Allgather, MPI 4.0 section 6.7).
   *
   * @example
   * const counts = world.allgather(Int32Array.of(mine.length)); // counts[i] is that of rank i
   */
  allgather<T extends MpiArray>(send: T): T;
  allgather<T extends MpiBuffer>(send: T, recv: T): T;
  allgather(send: MpiBuffer, recv?: MpiBuffer): MpiBuffer {
    const sent = this.data(send, "gather");
    const { length } = sent.array;
    const deed = () => `gather ${shown(sent)} from each rank on all`;
    const into = this.#room(recv, sent, length * this.size, deed);
    const code = this.lib.bsync_comm_allgather(
      memory(sent.array),
      memory(into.array),
      length,
      sent.type.code,
      this.id,
    );
    if (code < 0) throw this.error(code, deed());
    return into.view;
  }

  /**
   * `gatherv` on every rank (MPI_Allgatherv, MPI 4.0 section 6.7). Every rank gives the counts.
   *
   * @example
   * const all = world.allgatherv(mine, null, world.allgather(Int32Array.of(mine.length)));
   */
  allgatherv<T extends MpiBuffer>(
    send: T,
    recv: T | null | undefined,
    counts: Counts,
    places?: Counts | null,
  ): T {
    const sent = this.data(send, "gather");
    const deed = () => `gather ${shown(sent)} on all ranks`;
    const parts = this.#parts(counts, places, deed);
    const into = this.#room(recv, sent, parts.length, deed, "longer");
    const code = this.lib.bsync_comm_allgatherv(
      memory(sent.array),
      sent.array.length,
      memory(into.array),
      parts.counts,
      parts.places,
      sent.type.code,
      this.id,
    );
    if (code < 0) throw this.error(code, deed());
    return into.view as T;
  }

  /**
   * Every rank cuts its array into parts of one length and sends part i to rank i (MPI_Alltoall,
   * MPI 4.0 section 6.8): the transposition of a matrix whose rows are distributed.
   *
   * @example
   * // Of size elements: column[i] is the element that rank i had at this rank's place.
   * const column = world.alltoall(row);
   */
  alltoall<T extends MpiArray>(send: T): T;
  alltoall<T extends MpiBuffer>(send: T, recv: T): T;
  alltoall(send: MpiBuffer, recv?: MpiBuffer): MpiBuffer {
    const sent = this.data(send, "exchange");
    const { length } = sent.array;
    const deed = () => `exchange ${shown(sent)} among all ranks`;
    if (length % this.size !== 0) {
      throw this.mistake(Mistake.Count, deed(), `they are no ${this.size} parts of one length`);
    }
    const into = this.#room(recv, sent, length, deed);
    const code = this.lib.bsync_comm_alltoall(
      memory(sent.array),
      memory(into.array),
      length / this.size,
      sent.type.code,
      this.id,
    );
    if (code < 0) throw this.error(code, deed());
    return into.view;
  }

  /**
   * The same with parts of any lengths (MPI_Alltoallv, MPI 4.0 section 6.8).
   *
   * @example
   * // How much each rank has for this one.
   * const recvCounts = world.alltoall(Int32Array.from(sendCounts));
   * const received = world.alltoallv(sent, sendCounts, null, recvCounts);
   */
  alltoallv<T extends MpiBuffer>(
    send: T,
    sendCounts: Counts,
    recv: T | null | undefined,
    recvCounts: Counts,
    sendPlaces?: Counts | null,
    recvPlaces?: Counts | null,
  ): T {
    const sent = this.data(send, "exchange");
    const deed = () => `exchange ${shown(sent)} among all ranks`;
    const out = this.#parts(sendCounts, sendPlaces, deed);
    const back = this.#parts(recvCounts, recvPlaces, deed);
    if (out.length > sent.array.length) throw this.#short("send", sent, out.length, deed);
    const into = this.#room(recv, sent, back.length, deed, "longer");
    const code = this.lib.bsync_comm_alltoallv(
      memory(sent.array),
      out.counts,
      out.places,
      memory(into.array),
      back.counts,
      back.places,
      sent.type.code,
      this.id,
    );
    if (code < 0) throw this.error(code, deed());
    return into.view as T;
  }

  #reduceAll(
    name: "allreduce" | "scan",
    send: MpiBuffer,
    second: MpiBuffer | Operation | undefined,
    third: Operation | undefined,
  ): MpiBuffer {
    const short = second instanceof Operation;
    const op = (short ? second : third) ?? SUM;
    const sent = this.data(send, name);
    const deed = () => `${name} ${shown(sent)} by ${String(op)}`;
    this.#checkOperation(op, sent, deed);
    const into = this.#room(short ? null : second, sent, sent.array.length, deed, "in place");
    const call = name === "scan" ? this.lib.bsync_comm_scan : this.lib.bsync_comm_allreduce;
    const code = call(
      memory(sent.array),
      memory(into.array),
      sent.array.length,
      sent.type.reduced,
      op.code,
      Number(into.isInPlace),
      this.id,
    );
    if (code < 0) throw this.error(code, deed());
    return into.view;
  }

  /**
   * Where to receive `length` elements, of the kind that is sent: in `recv`, which may be longer,
   * or the very memory that is sent, where that is said; or in a new array.
   */
  #room(
    recv: unknown,
    sent: Data,
    length: number,
    deed: () => string,
    may?: "longer" | "in place",
  ): Room & { readonly view: MpiBuffer } {
    if (recv === undefined || recv === null) {
      const array = sent.type.make(length);
      return { array, type: sent.type, view: array, isInPlace: false };
    }
    const into = this.data(recv, deed());
    if (into.type.reduced !== sent.type.reduced) {
      throw this.mistake(Mistake.Type, deed(), `into elements of ${into.type.name}`);
    }
    if (into.array.length < length || (into.array.length > length && may !== "longer")) {
      throw this.#short("receive", into, length, deed);
    }
    const isInPlace = may === "in place" && shared(sent.array, into.array) === "all";
    if (!isInPlace) this.refuseShared(sent, into, deed);
    return { ...into, view: recv as MpiBuffer, isInPlace };
  }

  /** What the root scatters, `length` elements at least; anything elsewhere. */
  #source(send: unknown, into: Data, root: number, length: number, deed: () => string): Data {
    if (this.rank !== root) return into;
    const from = this.data(send, deed());
    if (from.type.reduced !== into.type.reduced) {
      throw this.mistake(Mistake.Type, deed(), `of elements of ${from.type.name}`);
    }
    if (from.array.length < length) throw this.#short("send", from, length, deed);
    this.refuseShared(from, into, deed);
    return from;
  }

  #short(what: string, { array, type }: Data, length: number, deed: () => string): Error {
    const note = `the array to ${what} has ${array.length} elements of ${type.name}, not ${length}`;
    return this.mistake(Mistake.Count, deed(), note);
  }

  /** One count and one place for each rank, as C reads them, and the length that they span. */
  #parts(counts: unknown, places: unknown, deed: () => string): Parts {
    const numbers = (list: unknown, what: string): Float64Array => {
      const found = isList(list) ? Float64Array.from(list as ArrayLike<number>) : null;
      if (found?.length === this.size && found.every(isCount)) return found;
      const note = `${what} must be ${this.size} whole numbers, one for each rank`;
      throw this.mistake(Mistake.Arg, deed(), `${note}, got ${Bun.inspect(list)}`);
    };
    const each = numbers(counts, "counts");
    const starts =
      places === undefined || places === null ? startsOf(each) : numbers(places, "places");
    const length = each.reduce((most, count, i) => Math.max(most, count && starts[i]! + count), 0);
    return { counts: each, places: starts, length };
  }

  /** @internal */
  protected checkRoot(root: unknown, deed: () => string): void {
    if (isInt(root) && root >= 0 && root < this.size) return;
    throw this.mistake(Mistake.Root, deed(), `there is no rank ${Bun.inspect(root)}`);
  }

  #checkOperation(op: unknown, { type }: Data, deed: () => string): asserts op is Operation {
    if (op instanceof Operation) {
      if (!op.isForWholeNumbers || !type.name.startsWith("Float")) return;
      throw this.mistake(Mistake.Op, deed(), `${op} is for whole numbers`);
    }
    const note = `SUM, PROD, MIN, MAX, LAND, LOR, BAND, BOR or BXOR, got ${Bun.inspect(op)}`;
    throw this.mistake(Mistake.Op, deed(), note);
  }
}

/** For a rank that receives nothing: MPI does not look at it. */
function nowhere(sent: Data): Room & { readonly view: null } {
  return { ...sent, view: null, isInPlace: false };
}

/** Where to receive. */
interface Room extends Data {
  /** It is what is sent. */
  readonly isInPlace: boolean;
}

interface Parts {
  readonly counts: Float64Array;
  readonly places: Float64Array;
  /** Elements from the beginning to the end of the last part. */
  readonly length: number;
}

/** What those give who are not the root: it is not read. */
const NO_PARTS: Parts = { counts: new Float64Array(1), places: new Float64Array(1), length: 0 };

function startsOf(counts: Float64Array): Float64Array {
  let end = 0;
  return counts.map((count) => (end += count) - count);
}

function isList(value: unknown): boolean {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView));
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
