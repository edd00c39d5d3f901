import { MEMBERS, type Members } from "./communicator-members.ts";
import type { Launcher } from "../mpi/launcher/launcher.ts";
import type { OpenId } from "../wire/frames.ts";

/**
 * The ranks among which a pool is opened, the first being its controller: the job's, or a
 * communicator's.
 */
export interface Ranks {
  /** This process's rank among them. */
  readonly rank: number;
  /** Their number; 0 if only MPI knows it. */
  readonly size: number;
  /** Their job ranks; null: they are the job's. */
  readonly members: readonly number[] | null;
  /** For messages: the communicator; null for the job. */
  readonly comm: string | null;
  /** A name that all of them, and no other set of ranks, have. */
  readonly group: string;
}

/** The ranks of a communicator; all ranks of the job if there is none. */
export function ranksOf(comm: Members | undefined, { rank, size }: Launcher): Ranks {
  const members = comm?.[MEMBERS]() ?? null;
  if (comm === undefined || members === null) {
    return { rank, size, members: null, comm: null, group: "world" };
  }
  return {
    rank: comm.rank,
    size: members.length,
    members,
    comm: comm.name,
    group: `${members.length} ${Bun.hash(Int32Array.from(members)).toString(36)}`,
  };
}

/** The job rank of one of these ranks. */
export function jobRank({ members }: Ranks, rank: number): number {
  return members === null ? rank : members[rank]!;
}

const opens = new Map<string, number>();

/** Numbers a call of `open` among these ranks. */
export function nextOpen({ group }: Ranks): OpenId {
  const number = (opens.get(group) ?? 0) + 1;
  opens.set(group, number);
  return { group, number };
}
