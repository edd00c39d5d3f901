/** Which cells of the table of faults, and of the peers' lists, are played in a job. */
import type { Case } from "../contract/case.ts";
import type { Launch } from "../contract/job.ts";
import { DRAW, drawShare } from "../lane.ts";
import { mpiFamilies } from "../setup/mpi.ts";
import { PEERS } from "./peers.ts";
import { CELLS } from "./table.ts";

/** The cells for a job: locally all of them, elsewhere a share, another one in each job. None without its MPI. */
export function cellsFor(
  { mode, isolated = false, mixed = false }: Launch,
  draw = DRAW,
): readonly Case[] {
  if (mode === "local") return [...CELLS, ...PEERS];
  const family = mpiFamilies().indexOf(mode);
  if (family < 0) return [];
  const kind = isolated ? 1 : mixed ? 2 : 0;
  return drawShare(mixed ? CELLS : [...CELLS, ...PEERS], 2 * kind + family, draw);
}
