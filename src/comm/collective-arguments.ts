import { type MpiBuffer, shared } from "./datatypes.ts";
import { type Data, isInt, Mistake } from "./base.ts";
import { Messages } from "./messages.ts";
import { Operation } from "./operations.ts";

/** Counts or places, one for each rank. */
export type Counts = readonly number[] | Int32Array | Uint32Array | Float64Array;

/**
 * The arguments of collectives as the C side wants them. A wrong one is an error here, before MPI
 * is asked.
 */
export abstract class CollectiveArguments extends Messages {
  /**
   * @internal Where to receive `length` elements, of the kind that is sent: in `recv`, which may be
   * longer, or the very memory that is sent, where that is said; or in a new array.
   */
  protected room(
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
      throw this.short("receive", into, length, deed);
    }
    const isInPlace = may === "in place" && shared(sent.array, into.array) === "all";
    if (!isInPlace) this.refuseShared(sent, into, deed);
    return { ...into, view: recv as MpiBuffer, isInPlace };
  }

  /** @internal What the root scatters, `length` elements at least; anything elsewhere. */
  protected source(
    send: unknown,
    into: Data,
    root: number,
    length: number,
    deed: () => string,
  ): Data {
    if (this.rank !== root) return into;
    const from = this.data(send, deed());
    if (from.type.reduced !== into.type.reduced) {
      throw this.mistake(Mistake.Type, deed(), `of elements of ${from.type.name}`);
    }
    if (from.array.length < length) throw this.short("send", from, length, deed);
    this.refuseShared(from, into, deed);
    return from;
  }

  /** @internal The error for an array that is not as long as a call needs it. */
  protected short(what: string, { array, type }: Data, length: number, deed: () => string): Error {
    const note = `the array to ${what} has ${array.length} elements of ${type.name}, not ${length}`;
    return this.mistake(Mistake.Count, deed(), note);
  }

  /**
   * @internal One count and one place for each rank, as C reads them, and the length that they
   * span.
   */
  protected parts(counts: unknown, places: unknown, deed: () => string): Parts {
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

  /** @internal */
  protected checkOperation(
    op: unknown,
    { type }: Data,
    deed: () => string,
  ): asserts op is Operation {
    if (op instanceof Operation) {
      if (!op.isForWholeNumbers || !type.name.startsWith("Float")) return;
      throw this.mistake(Mistake.Op, deed(), `${op} is for whole numbers`);
    }
    const note = `SUM, PROD, MIN, MAX, LAND, LOR, BAND, BOR or BXOR, got ${Bun.inspect(op)}`;
    throw this.mistake(Mistake.Op, deed(), note);
  }
}

/** For a rank that receives nothing: MPI does not look at it. */
export function nowhere(sent: Data): Room & { readonly view: null } {
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

/** The parts on ranks that are not the root, which MPI does not read. */
export const NO_PARTS: Parts = {
  counts: new Float64Array(1),
  places: new Float64Array(1),
  length: 0,
};

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
