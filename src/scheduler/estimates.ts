import type { FunctionRecord } from "../function/record.ts";

/**
 * A function as one pool knows it: how to name it to a worker, and how long its calls take there.
 */
export interface KnownFunction extends FunctionRecord {
  /** µs a call of it takes, a moving estimate; Infinity before the first has returned. */
  expected: number;
  /** µs of its longest call, halved by each long one since; 0 before there was a long one. */
  longest: number;
  /**
   * How many of its calls were short, halved by each long one: about one in so many is likely to be
   * long.
   */
  trust: number;
}

/** µs from which a call is long: nothing is sent behind it. */
export const LONG_US = 50;

/**
 * What one pool has learned of its functions. Pools that share a function call it with arguments of
 * their own, on workers of their own: the times that one measures say nothing of another's calls.
 */
export class Estimates {
  readonly #known = new WeakMap<FunctionRecord, KnownFunction>();
  /** Most calls are of the function of the call before. */
  #last: FunctionRecord | null = null;
  #lastKnown: KnownFunction | null = null;

  of(fn: FunctionRecord): KnownFunction {
    if (fn === this.#last) return this.#lastKnown!;
    let known = this.#known.get(fn);
    if (known === undefined) this.#known.set(fn, (known = unmeasured(fn)));
    this.#last = fn;
    this.#lastKnown = known;
    return known;
  }
}

/** A function of which no call has returned. */
export function unmeasured({ id, label, reference }: FunctionRecord): KnownFunction {
  return { id, label, reference, expected: Infinity, longest: 0, trust: 0 };
}

/**
 * A call took `elapsed` µs. One long call makes a function long at once; it takes several short
 * ones to make it short again. Not many, or the calls that a busy machine interrupts for some ms
 * would keep it long. True if a short function has become long.
 */
export function observe(fn: KnownFunction, elapsed: number): boolean {
  if (!(elapsed >= 0)) return false;
  const wasShort = fn.expected < LONG_US;
  if (fn.expected === Infinity || elapsed > fn.expected) fn.expected = elapsed;
  else fn.expected += (elapsed - fn.expected) * 0.5;
  if (elapsed < LONG_US) fn.trust++;
  else {
    fn.trust = Math.floor(fn.trust / 2);
    fn.longest = Math.max(elapsed, fn.longest / 2);
  }
  return wasShort && fn.expected >= LONG_US;
}
