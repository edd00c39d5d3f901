/** What MPI tells of a message (MPI 4.0 section 3.2.5). */

/** As a source: any rank (MPI_ANY_SOURCE, section 3.2.4). */
export const ANY_SOURCE = -1;
/** As a tag of a receive: any (MPI_ANY_TAG, section 3.2.4). */
export const ANY_TAG = -1;
/**
 * As a source or destination: nobody (MPI_PROC_NULL, section 3.10). To send there does nothing, to
 * receive from there gives a count of 0: for the neighbours that the ends of a chain do not have.
 */
export const PROC_NULL = -2;

/** What is known of a message that came, or that waits. */
export interface Status {
  /** The rank that sent it; `PROC_NULL` for a receive from nobody. */
  readonly source: number;
  readonly tag: number;
  /**
   * How many elements of the array were received; of a message that was probed, or of an object,
   * its length in bytes.
   */
  readonly count: number;
}

/** Where the C side puts it. */
export const STATUS = new Float64Array(3);

/** What it has put there. */
export function readStatus(): Status {
  return { source: STATUS[0]!, tag: STATUS[1]!, count: STATUS[2]! };
}

/** Of a send there is nothing to tell (section 3.7.3, the empty status). */
export const EMPTY: Status = Object.freeze({ source: ANY_SOURCE, tag: ANY_TAG, count: 0 });

/** Where a message goes, for the texts of errors. */
export function to(dest: unknown, tag: unknown): string {
  return `to ${nameOf(dest)} with tag ${String(tag)}`;
}

/** A rank, for messages. */
function nameOf(rank: unknown): string {
  return rank === PROC_NULL ? "PROC_NULL" : `rank ${String(rank)}`;
}

/** Where it comes from. */
export function from(source: unknown, tag: unknown): string {
  const rank = source === ANY_SOURCE ? "any rank" : nameOf(source);
  return `from ${rank} with ${tag === ANY_TAG ? "any tag" : `tag ${String(tag)}`}`;
}
