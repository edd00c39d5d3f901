import type { Fifo } from "../collections/fifo.ts";
import { type KnownFunction, LONG_US } from "./estimates.ts";

/** What calls cost, in µs, and so how many of them may be sent to a worker at a time. */

/**
 * µs of work that may be in flight to a worker besides what an idle one gets at once. It has to
 * cover the way of an answer and of the next message (some µs), and bounds by how much an urgent
 * task may have to wait behind less urgent ones.
 */
export const IN_FLIGHT_US = LONG_US;

/** The least that one call is taken to last, since sending and answering it takes that too. */
const SHORTEST_US = 0.25;

/**
 * µs that are won by calls that are sent ahead to another machine: those of an answer's way, and of
 * the next message's.
 */
const AHEAD_US = 100;

/** µs that a call is feared to take, of a function that was never long. */
const SURPRISE_US = 10_000;

/** A call, as far as its cost goes. */
interface Call {
  readonly fn: KnownFunction;
  /** It has no timeout, retries or signal. */
  readonly isPlain: boolean;
}

/** Only short calls without conditions of their own are sent to a worker that is not idle yet. */
export function mayWaitBehind(call: Call): boolean {
  return call.isPlain && call.fn.expected < IN_FLIGHT_US;
}

/**
 * Whether a call may be sent behind `inFlight` others from where it cannot be taken back: as long
 * as what is lost if one of them is long (the time it may take, by how likely it is among so many)
 * is less than what is won.
 */
export function mayGoAhead({ fn }: Call, inFlight: number): boolean {
  return inFlight * Math.max(fn.longest, SURPRISE_US) <= AHEAD_US * fn.trust;
}

export function costOf({ fn }: Call): number {
  return Math.max(fn.expected, SHORTEST_US);
}

export function sum(numbers: Fifo<number>): number {
  let total = 0;
  for (let i = 0; i < numbers.length; i++) total += numbers.at(i)!;
  return total;
}
