/**
 * How much of the suite a run plays. Test files ask here, so that `bun test FILE` plays its part of the lane, too.
 *
 * - quick: what one runs after every edit;
 * - middle: every case of every kind, and of what is repeated in many ways to start a program a share, which the
 *   seed draws: the whole comes up in `SHARES` runs with seeds that follow each other;
 * - full: everything in every way, at full length.
 */
import { CLOCK, LANE, SEED } from "./setup/variables.ts";

export const LANES = ["quick", "middle", "full"] as const;
export type Lane = (typeof LANES)[number];

/** In so many runs of the middle lane, with seeds that follow each other, everything is drawn at least once. */
export const SHARES = 5;

/** The factor of all waits of bsync's own (`src/os/waits.ts`), where the lane does not play them at full length. */
const SHORT_CLOCK = "0.25";

/** What is played, and by which number it is drawn. */
export interface Draw {
  readonly lane: Lane;
  readonly seed: number;
}

export const lane = readLane(process.env[LANE] ?? "middle");
export const seed = Number(process.env[SEED] ?? 1);
export const DRAW: Draw = { lane, seed };

function readLane(text: string): Lane {
  const found = LANES.find((name) => name === text);
  if (found !== undefined) return found;
  throw new Error(`${LANE} must be ${LANES.join(", ")}, got ${JSON.stringify(text)}`);
}

/** Sets the clock of the lane for this process, and for those that it starts. */
export function setClock(): void {
  if (lane !== "full") process.env[CLOCK] ??= SHORT_CLOCK;
}

/** The environment of a program whose waits are to have their real lengths. */
export const REAL_CLOCK: Readonly<Record<string, string>> = { [CLOCK]: "1" };

/** One of `items`: each comes up as the seed goes on. */
export function drawOne<T>(items: readonly T[], { seed } = DRAW): T {
  return items[seed % items.length]!;
}

/**
 * The items of a run's share: all in the full lane; else one of `shares` that follow each other. `salt` keeps
 * lists of the same items from the same share.
 */
export function drawShare<T>(
  items: readonly T[],
  salt: number,
  { lane, seed } = DRAW,
  shares = SHARES,
): T[] {
  if (lane === "full") return [...items];
  return items.filter((_, i) => (i + salt + seed) % shares === 0);
}
