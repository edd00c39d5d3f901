import { bindToProcess } from "../codec/refusal.ts";
import { keepWhole, occupy } from "../os/whole.ts";
import type { Counts } from "./collective-arguments.ts";
import { Collectives } from "./collectives.ts";
import { ObjectMessages } from "./object-messages.ts";
import { CommunicatorBase, isInt, Mistake } from "./base.ts";
import { MEMBERS } from "../job/communicator-members.ts";
import { Messages } from "./messages.ts";
import { Request } from "./request.ts";
import { RootedCollectives } from "./rooted-collectives.ts";

/**
 * A group of ranks that exchange messages, which never meet those of another communicator, or of a
 * pool (MPI 4.0 chapter 7). `world` has all ranks of the job; `split`, `dup` and `group` make
 * others of it, to any depth.
 *
 * Errors are `MpiError`s with MPI's code, text and class. Handling them is up to the program: a
 * rank that ends with an error ends the job.
 *
 * @example
 * import { world, SUM } from "bsync/mpi";
 *
 * const [total] = world.allreduce(Float64Array.of(world.rank), SUM);
 * console.log(`rank ${world.rank} of ${world.size}: ${total}`);
 */
export class Communicator extends ObjectMessages {
  /** @internal */
  static world(): Communicator {
    return new Communicator("world", WORLD, null);
  }

  /**
   * One communicator for all ranks with the same `color`, in the order of `key`, then of their
   * ranks here (MPI_Comm_split, MPI 4.0 section 7.4.2). Every rank calls it; null as color gives
   * null.
   *
   * @example
   * const row = world.split(Math.floor(world.rank / columns));
   */
  split(color: number, key?: number): Communicator;
  split(color: number | null, key?: number): Communicator | null;
  split(color: number | null, key = 0): Communicator | null {
    const action = `split by color ${String(color)}`;
    if (color !== null && (!isInt(color) || color < 0)) {
      const note = `a color is null or a whole number of 0 or more, got ${Bun.inspect(color)}`;
      throw this.mistake(Mistake.Arg, action, note);
    }
    if (!isInt(key)) {
      throw this.mistake(Mistake.Arg, action, `a key is a whole number, got ${Bun.inspect(key)}`);
    }
    const id = this.lib.bsync_comm_split(this.id, color ?? -1, key);
    return id === 0 ? null : this.#made(id, action, `split(${color})`);
  }

  /**
   * The same ranks, with separate messages (MPI_Comm_dup, MPI 4.0 section 7.4.2). Every rank calls
   * it.
   *
   * @example
   * const own = world.dup(); // a library's messages on it never meet the program's
   */
  dup(): Communicator {
    return this.#made(this.lib.bsync_comm_dup(this.id), "duplicate", "dup()");
  }

  /**
   * These ranks, in this order (MPI_Comm_create_group, MPI 4.0 section 7.4.2). Only they call it,
   * with the same list: for ranks outside a pool, while the others serve it. `tag` distinguishes
   * simultaneous calls of overlapping groups.
   *
   * @example
   * const pool = await AsyncPool.open([1, 2], { keepUnused: true });
   * if (pool.role === "unused") {
   *   const rest = world.group([3, 4, 5]);
   *   rest.barrier();
   * }
   */
  group(ranks: Counts, tag = 0): Communicator {
    const list = Array.from(ranks as ArrayLike<number>);
    const action = `make a group of ranks ${list.join(", ")}`;
    const wrong = list.find((rank) => !isInt(rank) || rank < 0 || rank >= this.size);
    if (wrong !== undefined) {
      throw this.mistake(Mistake.Rank, action, `there is no rank ${Bun.inspect(wrong)}`);
    }
    if (new Set(list).size !== list.length || !list.includes(this.rank)) {
      const note = `only its members call it, each once in the list; this is rank ${this.rank}`;
      throw this.mistake(Mistake.Group, action, note);
    }
    if (!isInt(tag) || tag < 0) {
      throw this.mistake(Mistake.Tag, action, `a tag is a whole number, got ${Bun.inspect(tag)}`);
    }
    const id = this.lib.bsync_comm_group(this.id, Int32Array.from(list), list.length, tag);
    return this.#made(id, action, `group([${list.join(", ")}])`);
  }

  /**
   * Frees it (MPI_Comm_free, MPI 4.0 section 7.4.3). All its ranks call it, and none uses it
   * afterwards. `world` cannot be freed.
   */
  free(): void {
    if (this.id === WORLD) throw this.mistake(Mistake.Comm, "free it", "world stays until the end");
    const code = this.lib.bsync_comm_free(this.id);
    if (code < 0) throw this.error(code, "free a communicator");
    this.id = 0;
  }

  /**
   * Ends the whole job at once, with this exit code (MPI_Abort, MPI 4.0 section 9.7). Any other
   * value than a whole number from 0 to 255, as systems have them, becomes 1.
   */
  abort(code = 1): never {
    void this.lib; // a run for functions must not end the job
    return this.mpi.abort(isInt(code) && code >= 0 && code <= 255 ? code : 1);
  }

  /** @internal For a pool opened on it. */
  [MEMBERS](): readonly number[] | null {
    if (this.id === WORLD) return null;
    const ranks = new Int32Array(this.id === 0 ? 1 : this.size);
    const code = this.mpi.comm().bsync_comm_members(this.id, ranks, ranks.length);
    if (code < 0) throw this.error(code, "open a pool");
    return Array.from(ranks);
  }

  override toString(): string {
    return this.name;
  }

  #made(id: number, action: string, how: string): Communicator {
    if (id < 0) throw this.error(id, action);
    return new Communicator(`${this.name}.${how}`, id, this.mpi);
  }
}

/** Members that other methods use, already within a whole call. */
const INNER = ["lib", "mpi", "waitsInSteps", "error", "failure", "mistake", "data", "refuseShared"];
const CLASSES = [
  CommunicatorBase,
  Messages,
  RootedCollectives,
  Collectives,
  ObjectMessages,
  Communicator,
  Request,
];
keepWhole(
  CLASSES.map(({ prototype }) => prototype),
  [...INNER, "progress", MEMBERS],
);
keepWhole([Request]);
// Code that loads this can be called by a task.
occupy();

bindToProcess(Communicator, "`world` is there on each rank: make it there in the same way");
bindToProcess(Request, "await it first");

/** The C side's number for the duplicate of MPI_COMM_WORLD. */
const WORLD = 1;
