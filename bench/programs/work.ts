/** A task that takes the processor and nothing else, by amount and not by the clock. */

/** So many steps of a generator of random numbers: integers, nothing allocated. */
export function toil(steps: number): number {
  let state = 1;
  for (let i = 0; i < steps; i++) state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
  return state;
}

/** Steps per millisecond of this machine, as it is now: the best of some tries. */
export function stepsPerMs(): number {
  const tried = 200_000;
  let best = Infinity;
  for (let i = 0; i < 60; i++) {
    const start = Bun.nanoseconds();
    toil(tried);
    best = Math.min(best, Bun.nanoseconds() - start);
  }
  return Math.round((tried / best) * 1e6);
}
