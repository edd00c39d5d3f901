/** Which of the contract's cases are played in a job: by what the cases depend on, and by the lane. */
import { DRAW, type Draw, drawOne } from "../lane.ts";
import { mpiFamilies } from "../setup/mpi.ts";
import type { Case, Dependence } from "./case.ts";
import { CASES, MIXED_CASES } from "./cases/all.ts";
import type { Launch } from "./job.ts";

/** Ranks of the one job of a family that plays all that depends on its links. */
const RANKS = 3;

const dependsOn =
  (...wanted: Dependence[]) =>
  (entry: Case): boolean =>
    wanted.includes(entry.dependsOn);

/** The cases for a job; none where its MPI is left out. */
export function casesFor(launch: Launch, draw = DRAW): Case[] {
  const { part } = launch;
  const all = kindsFor(launch, draw);
  const cases = draw.lane === "quick" ? drawQuick(all, draw) : all;
  return cases.filter((_, i) => part === undefined || i % part.of === part.number - 1);
}

function kindsFor({ mode, ranks, isolated, mixed }: Launch, draw: Draw): readonly Case[] {
  if (mode === "local") return CASES;
  if (!mpiFamilies().includes(mode)) return [];
  if (draw.lane === "full") return mixed ? MIXED_CASES : CASES;
  const isDrawn = mode === drawOne(mpiFamilies(), draw);
  // A mixed pool of one worker is one of a local process.
  if (mixed) {
    return MIXED_CASES.filter((entry) => isDrawn && (entry.dependsOn === "size" || manyOf(entry)));
  }
  if (isolated) return isDrawn ? [] : drawLinks(draw);
  // The one family has two ranks, the other one four; with the next seed it is the other way round.
  if (ranks !== RANKS) return isDrawn === ranks < RANKS ? CASES.filter(dependsOn("size")) : [];
  if (draw.lane === "quick") return CASES.filter(dependsOn("link", "size"));
  return isDrawn ? CASES : drawLinks(draw);
}

/** Of what depends on the link one of so many cases, beside the jobs that play all of it; others two seeds later. */
const LINK_SHARES = 4;

function drawLinks({ seed }: Draw): Case[] {
  const cases = CASES.filter(dependsOn("link", "size"));
  return cases.filter((_, i) => (i + (seed >> 1)) % LINK_SHARES === 0);
}

/** Of what is quick one of so many cases that follow each other: as many runs play all of it. */
const QUICK_SHARES = 12;

function drawQuick(cases: readonly Case[], { seed }: Draw): Case[] {
  return cases.filter(({ slow }) => !slow).filter((_, i) => (i + seed) % QUICK_SHARES === 0);
}

function manyOf({ workers = 1 }: Case): boolean {
  return workers > 1;
}
