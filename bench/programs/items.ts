/** Items of maps, for `map.ts` and its references: how long each takes, and the least time for all. */

export const ITEMS = 1_000_000;
export const SHORT_US = 20;

export function increment(x: number): number {
  return x + 1;
}

/** Below a millisecond the clock is looked at, since a sleep takes longer than it is told to. */
export function pass(us: number): void {
  if (us >= 1_000) return Bun.sleepSync(us / 1_000);
  const end = Bun.nanoseconds() + us * 1e3;
  while (Bun.nanoseconds() < end);
}

/** 2,000 lengths from 1 µs on: nine in ten below 50 µs, the longest 100 ms. */
export function unevenLengths(): number[] {
  let state = 1;
  const random = (): number => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
  return Array.from({ length: 2_000 }, () => Math.min(1e5, random() ** -1.6));
}

/** The time that `workers` workers take at the least: whoever is free takes the longest that is left. */
export function leastUs(lengths: readonly number[], workers: number): number {
  const busy = new Array<number>(workers).fill(0);
  for (const us of lengths.toSorted((a, b) => b - a)) {
    const free = busy.indexOf(Math.min(...busy));
    busy[free]! += us;
  }
  return Math.max(...busy);
}
