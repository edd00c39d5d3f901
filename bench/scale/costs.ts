import { quantile } from "../programs/report.ts";
import { type Costs, Model } from "./model.ts";

/**
 * What the controller's own code takes, measured here and now: the real controller, whose workers
 * answer at once. MPI is no part of it.
 */

const ROUNDS = 100;
/** As many answers as the controller takes in before the event loop turns. */
const CALLS = 64;
/** Calls so short that fifty of them share a message, and enough of them for that. */
const SHORT_US = 1;
const SHORT_CALLS = 800;
/** Calls so long that each has a message of its own. */
const LONG_US = 1_000;
const FEW = 16;

/** What else runs here makes a round longer, and none shorter: the first quarter of them tells. */
const QUARTER = 0.25;

/** µs per call, after some rounds that are not counted. */
async function timed(model: Model, lengthUs: number, calls: number): Promise<number> {
  model.use(lengthUs);
  const rounds: number[] = [];
  for (let i = 0; i < 2 * ROUNDS; i++) rounds.push(await model.time(calls));
  return quantile(rounds.slice(ROUNDS), QUARTER);
}

/** What a call takes beside the message that brings it: where hundreds of them share one. */
export async function callCost(): Promise<number> {
  const model = new Model();
  await model.open(FEW);
  for (let i = 0; i < 5; i++) await timed(model, LONG_US, CALLS);
  const us = await timed(model, SHORT_US, SHORT_CALLS);
  await model.terminate();
  return us;
}

/** A turn of the event loop with nothing else in it. */
export async function turnCost(): Promise<number> {
  const turns = 500;
  const rounds: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    for (let j = 0; j < turns; j++) await new Promise<void>((resolve) => setImmediate(resolve));
    rounds.push(((performance.now() - start) * 1000) / turns);
  }
  return quantile(rounds, QUARTER);
}

/** The same controller's costs with this many workers: the more, the less of them is in the cache. */
export async function costsOf(model: Model, callUs: number, turnUs: number): Promise<Costs> {
  // Each worker's memory is touched for the first time.
  model.use(LONG_US);
  await model.time(2 * model.workers.length);
  const us = await timed(model, LONG_US, CALLS);
  return { callUs, turnUs, messageUs: Math.max(0, us - callUs) };
}
