import { CollectiveArguments, type Counts, NO_PARTS, nowhere } from "./collective-arguments.ts";
import { memory } from "./base.ts";
import type { MpiArray, MpiBuffer } from "./datatypes.ts";
import { shown } from "./messages.ts";
import { Operation, SUM } from "./operations.ts";

/** Collectives in which one rank, the root, gives to all of them, or receives from all. */
export abstract class RootedCollectives extends CollectiveArguments {
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
    this.checkOperation(op, sent, deed);
    this.checkRoot(root, deed);
    const isRoot = this.rank === root;
    const into = isRoot
      ? this.room(short ? null : second, sent, sent.array.length, deed, "in place")
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
      ? this.room(short ? null : second, sent, length * this.size, deed)
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
    const parts = isRoot ? this.parts(counts, places, deed) : NO_PARTS;
    const into = isRoot ? this.room(recv, sent, parts.length, deed, "longer") : nowhere(sent);
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
    const from = this.source(send, into, root, length * this.size, deed);
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
    const parts = this.rank === root ? this.parts(counts, places, deed) : NO_PARTS;
    const from = this.source(send, into, root, parts.length, deed);
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
}
