import type { Launcher } from "./mpi/launcher.ts";
import type { OpenId } from "./wire.ts";

/** The ranks among which a pool is opened, the first of which is its controller. */
export interface Ranks {
  /** This process's own. */
  readonly rank: number;
  /** How many there are; 0 where only MPI knows. */
  readonly size: number;
  /** The same on all of them, and for no others. */
  readonly group: string;
}

/** All ranks of the job. */
export function ranksOfJob({ rank, size }: Launcher): Ranks {
  return { rank, size, group: "world" };
}

const opens = new Map<string, number>();

/** Numbers a call of `open` among those ranks. */
export function nextOpen({ group }: Ranks): OpenId {
  const number = (opens.get(group) ?? 0) + 1;
  opens.set(group, number);
  return { group, number };
}
