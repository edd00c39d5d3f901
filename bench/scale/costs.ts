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
/** Items in chunks of the largest size, as many as are taken in a fraction of a millisecond. */
const ITEMS = 4 * 4_096;
const LARGE_CHUNK = 4_096;
/** Calls so long that each has a message of its own. */
const LONG_US = 1_000;
const FEW = 16;

/** What else runs here makes a round longer, and none shorter: the shortest twentieth of them tells. */
const SHORTEST = 0.05;

/** µs per call, after some rounds that are not counted. */
async function timed(
  model: Model,
  lengthUs: number,
  time: () => Promise<number>,
  times = ROUNDS,
): Promise<number> {
  model.use(lengthUs);
  const rounds: number[] = [];
  for (let i = 0; i < 2 * times; i++) rounds.push(await time());
  return quantile(rounds.slice(times), SHORTEST);
}

/** What a call takes beside the message that brings it: where hundreds of them share one. */
export async function callCost(): Promise<number> {
  const model = new Model();
  await model.open(FEW);
  for (let i = 0; i < 5; i++) await timed(model, LONG_US, () => model.time(CALLS));
  const us = await timed(model, SHORT_US, () => model.time(SHORT_CALLS));
  await model.terminate();
  return us;
}

/**
 * What a map takes beside its messages: for an item, where thousands share one, and for a chunk of one
 * item, where hundreds do.
 */
export async function mapCosts(): Promise<Pick<Costs, "chunkUs" | "itemUs">> {
  const model = new Model();
  await model.open(FEW);
  const items = () => model.timeMap(ITEMS, LARGE_CHUNK);
  const itemUs = await timed(model, SHORT_US / 100, items, ROUNDS / 2);
  const chunkUs = await timed(model, SHORT_US, () => model.timeMap(SHORT_CALLS, 1));
  await model.terminate();
  return { chunkUs, itemUs };
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
  return quantile(rounds, SHORTEST);
}

/** The same controller's costs with this many workers: the more, the less of them is in the cache. */
export async function costsOf(model: Model, shared: Omit<Costs, "messageUs">): Promise<Costs> {
  // Each worker's memory is touched for the first time.
  model.use(LONG_US);
  await model.time(2 * model.size);
  const us = await timed(model, LONG_US, () => model.time(CALLS));
  return { ...shared, messageUs: Math.max(0, us - shared.callUs) };
}
