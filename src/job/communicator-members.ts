/** What a pool needs of a communicator, without loading all of its methods. */
export interface Members {
  /** Its name in messages. */
  readonly name: string;
  readonly rank: number;
  /** The job ranks of its members, in order; null for all ranks of the job. */
  [MEMBERS](): readonly number[] | null;
}

/** The name of that method. */
export const MEMBERS: unique symbol = Symbol("bsync.members");

export function hasMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && MEMBERS in value;
}
