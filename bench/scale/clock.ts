/**
 * The clock and the event loop that the controller sees: those of this process, or of a model. To be
 * imported before anything of bsync, which keeps the functions that it finds when it is loaded.
 */

const realNow = performance.now.bind(performance);
const { setImmediate: realImmediate, setTimeout: realTimeout } = globalThis;

/** ms; null while the time is that of this process. */
let modelled: (() => number) | null = null;
let immediates: (() => void)[] = [];

/** From now on time passes as `now` says, and immediates run when `turn` is called; null: as ever. */
export function follow(now: (() => number) | null): void {
  modelled = now;
  immediates = [];
}

/** The immediates of one turn of the event loop. */
export function turn(): void {
  if (immediates.length === 0) return;
  for (const deed of immediates.splice(0)) deed();
}

/** Whether the event loop has something to do at once. */
export function isDue(): boolean {
  return immediates.length > 0;
}

/** One turn of this process's own event loop. */
export function realTurn(): Promise<void> {
  return new Promise((resolve) => realImmediate(resolve));
}

performance.now = () => (modelled === null ? realNow() : modelled());

globalThis.setImmediate = ((deed: () => void, ...args: []) => {
  if (modelled === null) return realImmediate(deed, ...args);
  immediates.push(deed);
  return undefined;
}) as unknown as typeof setImmediate;

// The pool's looks for what takes too long: modelled workers are neither stuck nor gone.
globalThis.setTimeout = ((deed: () => void, ms: number, ...args: []) => {
  const timer = realTimeout(modelled === null ? deed : nothing, ms, ...args);
  if (modelled !== null) timer.unref();
  return timer;
}) as unknown as typeof setTimeout;

function nothing(): void {}
