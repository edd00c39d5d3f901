/** The operations of reductions (MPI 4.0 section 6.9.2). */

/** Written for numbers; for other values JavaScript's operators decide. */
type Combine = (a: never, b: never) => unknown;

/**
 * The operation of a reduction on two values: one of `SUM PROD MIN MAX LAND LOR BAND BOR BXOR`.
 *
 * Logical and bitwise ones are for arrays of whole numbers; with `Float64Array`s they are an
 * `MpiError`. Sums and products of whole numbers wrap around, as in C, unless the MPI prevents it:
 * `docs/mpi.md` tells what is known of that (under "Reductions").
 */
export class Operation {
  /** As `"SUM"`. */
  readonly name: string;
  /** @internal Its number in `c/bsync_codes.h`. */
  readonly code: number;
  /** @internal The operation on any two values. */
  readonly combine: Combine;

  /** @internal The operations below are all there are. */
  constructor(name: string, code: number, combine: Combine) {
    this.name = name;
    this.code = code;
    this.combine = combine;
  }

  /** @internal True for the logical and bitwise ones. */
  get isForWholeNumbers(): boolean {
    return this.code >= LAND.code;
  }

  toString(): string {
    return this.name;
  }
}

/** The sum; of values, the result of `+`. */
export const SUM = new Operation("SUM", 0, (a: number, b: number) => a + b);
/** The product. */
export const PROD = new Operation("PROD", 1, (a: number, b: number) => a * b);
/** The least. */
export const MIN = new Operation("MIN", 2, (a: number, b: number) => (b < a ? b : a));
/** The greatest. */
export const MAX = new Operation("MAX", 3, (a: number, b: number) => (b > a ? b : a));
/** Logical and: in arrays 1 or 0, of values the result of `&&`. */
export const LAND = new Operation("LAND", 4, (a: number, b: number) => a && b);
/** Logical or: in arrays 1 or 0, of values the result of `||`. */
export const LOR = new Operation("LOR", 5, (a: number, b: number) => a || b);
/** Bitwise and. */
export const BAND = new Operation("BAND", 6, (a: number, b: number) => a & b);
/** Bitwise or. */
export const BOR = new Operation("BOR", 7, (a: number, b: number) => a | b);
/** Bitwise exclusive or. */
export const BXOR = new Operation("BXOR", 8, (a: number, b: number) => a ^ b);
