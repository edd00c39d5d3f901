/**
 * Whether there is room on the stack for what must not stop half-way. A program that has recursed
 * too far is told by a RangeError at any call it makes, bsync's own among them. Wherever such a
 * call changes several things that belong together, it looks here first, and changes nothing where
 * there is too little.
 */
import { performance } from "./natives.ts";

/**
 * Levels of a recursion that take as much of the stack as the longest road through a controller,
 * twice: 16 KB.
 */
const LEVELS = 64;

/** The same for the loading of some modules, which cannot be tried again: 512 KB. */
const LEVELS_TO_LOAD = 2048;

/**
 * ms in which no program uses up a stack that was nearly empty: to look takes 0.2 µs, which it
 * saves as a rule.
 */
const FRESH_MS = 0.02;

let freshAt = -Infinity;

/** At `now`, on `performance.now()`, the event loop has called: the stack is nearly empty. */
export function stackIsFresh(now: number): void {
  freshAt = now;
}

export function hasStack(now = performance.now()): boolean {
  if (now - freshAt < FRESH_MS) return true;
  try {
    descend(LEVELS, 0, 1, 2, 3, 4, 5);
    return true;
  } catch {
    return false;
  }
}

/** Throws the engine's own RangeError where there is too little. */
export function needStack(): void {
  if (performance.now() - freshAt >= FRESH_MS) descend(LEVELS, 0, 1, 2, 3, 4, 5);
}

/** Whether modules can be loaded here. */
export function hasStackToLoad(): boolean {
  try {
    needStackToLoad();
    return true;
  } catch {
    return false;
  }
}

/** Throws the engine's own RangeError where there is too little to load modules. */
export function needStackToLoad(): void {
  descend(LEVELS_TO_LOAD, 0, 1, 2, 3, 4, 5);
}

/** Its arguments are there to take room. */
function descend(
  levels: number,
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
): number {
  return levels === 0 ? a : b + descend(levels - 1, b, c, d, e, f, a);
}
