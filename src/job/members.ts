/** What a pool asks of a communicator, without loading what communicators can do. */
export interface Members {
  /** How messages call it. */
  readonly name: string;
  readonly rank: number;
  /** The job's ranks of its members, in order; null for all ranks of the job. */
  [MEMBERS](): readonly number[] | null;
}

/** The name of the method that answers it. */
export const MEMBERS: unique symbol = Symbol("bsync.members");

export function hasMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && MEMBERS in value;
}
