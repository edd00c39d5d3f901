/** MPI's description of a message (MPI 4.0 section 3.2.5). */

/** As a source: any rank (MPI_ANY_SOURCE, section 3.2.4). */
export const ANY_SOURCE = -1;
/** As the tag of a receive: any (MPI_ANY_TAG, section 3.2.4). */
export const ANY_TAG = -1;
/**
 * As a source or destination: nobody (MPI_PROC_NULL, section 3.10). A send to it does nothing, a
 * receive from it gives a count of 0: for the missing neighbours at the ends of a chain.
 */
export const PROC_NULL = -2;

/** Describes a message that came, or that waits. */
export interface Status {
  /** The rank that sent it; `PROC_NULL` for a receive from `PROC_NULL`. */
  readonly source: number;
  readonly tag: number;
  /**
   * The number of elements received; for a message that was probed, or an object, its length in
   * bytes.
   */
  readonly count: number;
}

/** Written by the C side. */
export const STATUS = new Float64Array(3);

/** The `Status` in `STATUS`. */
export function readStatus(): Status {
  return { source: STATUS[0]!, tag: STATUS[1]!, count: STATUS[2]! };
}

/** The status of a send (section 3.7.3, the empty status). */
export const EMPTY: Status = Object.freeze({ source: ANY_SOURCE, tag: ANY_TAG, count: 0 });

/** The destination of a message, for the texts of errors. */
export function to(dest: unknown, tag: unknown): string {
  return `to ${nameOf(dest)} with tag ${String(tag)}`;
}

/** A rank, for messages. */
function nameOf(rank: unknown): string {
  return rank === PROC_NULL ? "PROC_NULL" : `rank ${String(rank)}`;
}

/** The source of a message, for the texts of errors. */
export function from(source: unknown, tag: unknown): string {
  const rank = source === ANY_SOURCE ? "any rank" : nameOf(source);
  return `from ${rank} with ${tag === ANY_TAG ? "any tag" : `tag ${String(tag)}`}`;
}
