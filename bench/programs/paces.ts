/**
 * A call after a silence, for silences from none to a second. All programs of a run measure short
 * silences in turn, and long ones in slots of one period: while one measures, the others sleep.
 */

/** Silences before a call, in ms. A timer cannot wait for less than 1: those are computed through. */
export const SILENCES = [0, 0.1, 1, 5, 20, 100, 300, 1000] as const;

/** From here on programs share a period. */
const SHARED_MS = 20;

const WARM_CALLS = 1_000;

/** Between two programs, and before the first one, in ms. */
const PAUSE_MS = 200;

/** One silence in one program. */
export interface Phase {
  readonly ms: number;
  readonly samples: number;
  /** When it starts, on `Date.now()`. */
  readonly start: number;
  /** ms from the start of a period to this program's turn. */
  readonly offset: number;
}

/** The phases of each of `programs`, from `start` on, with so many samples of each silence. */
export function schedule(programs: number, samples: number, start: number): Phase[][] {
  const phases: Phase[][] = Array.from({ length: programs }, () => []);
  let at = start;
  for (const ms of SILENCES) {
    const isShared = ms >= SHARED_MS;
    for (const [i, own] of phases.entries()) {
      own.push({ ms, samples, start: at, offset: isShared ? (i / programs) * ms : 0 });
      if (!isShared) at += 1.5 * samples * (ms + 0.5) + PAUSE_MS;
    }
    if (isShared) at += (samples + 1) * ms + PAUSE_MS;
  }
  return phases;
}

/** When a schedule is over, on `Date.now()`. */
export function endOf(phases: readonly Phase[]): number {
  const { start, samples, ms } = phases.at(-1)!;
  return start + (samples + 1) * ms;
}

/** The phases of this program: its argument of that place. */
export function phasesOf(argument: string | undefined): Phase[] {
  if (argument !== undefined) return JSON.parse(argument) as Phase[];
  return schedule(1, 50, Date.now() + 1_000)[0]!;
}

/** How a program waits: with the event loop turning, or with its thread held. */
export type Sleep = (ms: number) => Promise<void> | void;

/** Times in µs, by silence. */
export async function callsAfterSilences(
  call: (i: number) => unknown,
  phases: readonly Phase[],
  sleep: Sleep = (ms) => Bun.sleep(ms),
): Promise<Record<string, number[]>> {
  for (let i = 0; i < WARM_CALLS; i++) await call(i);
  const found: Record<string, number[]> = {};
  for (const { ms, samples, start, offset } of phases) {
    const times: number[] = [];
    await sleep(Math.max(1, start + offset - Date.now()));
    for (let i = 0; i <= samples; i++) {
      if (ms >= SHARED_MS) await sleep(Math.max(1, start + offset + i * ms - Date.now()));
      else if (ms >= 1) await sleep(ms);
      else compute(ms);
      const begin = Bun.nanoseconds();
      const answer = call(i);
      if (answer instanceof Promise || typeof answer === "object") await answer;
      // The first one comes after whatever silence there was before it.
      if (i > 0) times.push((Bun.nanoseconds() - begin) / 1e3);
    }
    found[String(ms)] = times;
  }
  return found;
}

function compute(ms: number): void {
  const end = Bun.nanoseconds() + ms * 1e6;
  while (Bun.nanoseconds() < end);
}
