/**
 * The first call after 300 ms of silence. Several programs measure this at the same time, each in a
 * slot of its own in every period: while one measures, the others sleep, and so do pools that are
 * watched in their sleep (`idle.ts`).
 */

export const SLOTS = 4;

const PERIOD_MS = 300;
const SAMPLES = 14;
const WARM_CALLS = 1_000;
/** Until all that runs beside this has started. */
const START_MS = 1_000;

/** Times in µs. */
export async function afterSilence(
  call: (i: number) => PromiseLike<unknown>,
  slot: number,
): Promise<number[]> {
  for (let i = 0; i < WARM_CALLS; i++) await call(i);
  const times: number[] = [];
  const period = Math.ceil((Date.now() + START_MS) / PERIOD_MS);
  const first = (period + slot / SLOTS) * PERIOD_MS;
  for (let i = 0; i <= SAMPLES; i++) {
    await Bun.sleep(Math.max(0, first + i * PERIOD_MS - Date.now()));
    const start = Bun.nanoseconds();
    await call(i);
    // The first one comes after whatever silence there was before it.
    if (i > 0) times.push((Bun.nanoseconds() - start) / 1e3);
  }
  return times;
}
