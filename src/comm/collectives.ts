import type { Counts } from "./collective-arguments.ts";
import { memory, Mistake } from "./base.ts";
import type { MpiArray, MpiBuffer } from "./datatypes.ts";
import { shown } from "./messages.ts";
import { Operation, SUM } from "./operations.ts";
import { RootedCollectives } from "./rooted-collectives.ts";

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
export abstract class Collectives extends RootedCollectives {
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
    const into = this.room(recv, sent, length * this.size, deed);
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
    const parts = this.parts(counts, places, deed);
    const into = this.room(recv, sent, parts.length, deed, "longer");
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
    const into = this.room(recv, sent, length, deed);
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
    const out = this.parts(sendCounts, sendPlaces, deed);
    const back = this.parts(recvCounts, recvPlaces, deed);
    if (out.length > sent.array.length) throw this.short("send", sent, out.length, deed);
    const into = this.room(recv, sent, back.length, deed, "longer");
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
    this.checkOperation(op, sent, deed);
    const into = this.room(short ? null : second, sent, sent.array.length, deed, "in place");
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
}
