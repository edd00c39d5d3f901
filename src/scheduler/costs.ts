import type { Fifo } from "../collections/fifo.ts";
import { type KnownFunction, LONG_US } from "./estimates.ts";
import type { Payload } from "./task.ts";
import { bytesOf } from "../codec/value.ts";

/** What calls cost, in µs, and so how many of them may be sent to a worker at a time. */

/**
 * µs of work that may be in flight to a worker besides the call that an idle one gets at once. It
 * has to cover the travel of an answer and of the next message (some µs), and bounds how long an
 * urgent task may have to wait behind less urgent ones.
 */
export const IN_FLIGHT_US = LONG_US;

/** The least that a call is taken to last: sending and answering it takes that, too. */
const SHORTEST_US = 0.25;

/** See `loadOf`. */
const CHUNK_LOAD_US = 0.4 * IN_FLIGHT_US;

/**
 * µs won by sending a call ahead to another machine: the travel of an answer, and of the next
 * message.
 */
const AHEAD_US = 100;

/** µs that a long call is feared to take, of a function that had none. */
const SURPRISE_US = 10_000;

/** A call, as far as its cost goes. */
interface Call {
  readonly fn: KnownFunction;
  /** It has no timeout, retries or signal. */
  readonly isPlain: boolean;
  /** How many calls it stands for. */
  readonly count: number;
}

/** Only short calls without conditions of their own are sent to a worker that is not idle yet. */
export function mayWaitBehind(call: Call): boolean {
  return call.isPlain && call.fn.expected < IN_FLIGHT_US;
}

/**
 * Whether a call may be sent behind `inFlight` others to a worker from which it cannot be
 * reclaimed: as long as the loss if one of them is long (the time it may take, by how likely it is
 * among so many) is less than the gain.
 */
export function mayGoAhead({ fn }: Call, inFlight: number): boolean {
  return inFlight * Math.max(fn.longest, SURPRISE_US) <= AHEAD_US * fn.trust;
}

/** µs that a task takes, for which others behind it wait. */
export function costOf({ fn, count }: Call): number {
  return count * Math.max(fn.expected, SHORTEST_US);
}

/**
 * µs that a task counts for among those in flight to a worker. A chunk of short calls takes far
 * longer than a worker may have in flight, and counts for little: so a worker has two or three.
 */
export function loadOf(call: Call): number {
  const { fn, count } = call;
  if (count === 1) return Math.max(fn.expected, SHORTEST_US);
  const cost = costOf(call);
  return fn.expected < LONG_US ? Math.min(cost, CHUNK_LOAD_US) : cost;
}

export function sum(numbers: Fifo<number>): number {
  let total = 0;
  for (let i = 0; i < numbers.length; i++) total += numbers.at(i)!;
  return total;
}

/** Bytes to be sent of a payload, where it is one that can be large: of an encoded one. */
export function bytesOfPayload(payload: Payload | null): number {
  if (payload === null || typeof payload !== "object" || !("buffers" in payload)) return 0;
  return bytesOf(payload);
}
