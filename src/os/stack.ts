/**
 * Whether the stack has room for a change that must not stop half-way. A program that has recursed
 * too far gets a RangeError from any call, bsync's own among them. So a call that changes several
 * things that belong together checks here first, and changes nothing if there is too little room.
 */
import { performance } from "./natives.ts";

/**
 * Levels of a recursion that take twice as much stack as the longest path through a controller: 16
 * KB.
 */
const LEVELS = 64;

/** As LEVELS, for loading some modules, which cannot be tried again: 512 KB. */
const LEVELS_TO_LOAD = 2048;

/**
 * ms in which no program fills a nearly empty stack: the check takes 0.2 µs, which this usually
 * saves.
 */
const FRESH_MS = 0.02;

let freshAt = -Infinity;

/** At `now`, on `performance.now()`, the event loop made a call: the stack is nearly empty. */
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

/** Throws the engine's own RangeError if there is too little room. */
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

/** Throws the engine's own RangeError if there is too little room to load modules. */
export function needStackToLoad(): void {
  descend(LEVELS_TO_LOAD, 0, 1, 2, 3, 4, 5);
}

/** Its arguments are there to use room. */
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
