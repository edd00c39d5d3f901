import { expect, test } from "bun:test";
import { Random } from "../fuzz/random.ts";
import { seed } from "../lane.ts";
import { ChunkModel } from "./chunk-model.ts";

/** Rounds, each with chunks, workers and accidents of its own. */
const ROUNDS = 150;
const STEPS = 120;

/** Where calls are counted from: two of them pass the last number of the wire. */
const ORDERS = [1, 2 ** 32 - 40, 2 ** 32 - 3, 2 ** 40];

test("no item of a chunk is lost, or ends twice, whatever is lost, recalled or cancelled", () => {
  for (let round = 0; round < ROUNDS; round++) {
    const random = new Random(seed, round);
    const order = ORDERS[round % ORDERS.length]!;
    const model = new ChunkModel(random, 1 + random.below(4), order);
    // Some rounds have no deaths, or no recalls, or nothing that is cancelled.
    const deeds = [
      () => model.submit(),
      () => model.submit(),
      ...Array.from({ length: 5 }, () => () => model.work()),
      ...Array.from({ length: 3 }, () => () => model.answer()),
      ...Array.from({ length: 3 }, () => () => model.resume()),
      ...(random.oneIn(4) ? [] : [() => model.recall()]),
      ...(random.oneIn(3) ? [] : [() => model.lose()]),
      ...(random.oneIn(3) ? [() => model.cancel()] : []),
    ];
    try {
      for (let step = 0; step < STEPS; step++) {
        deeds[random.below(deeds.length)]!();
        model.dispatch();
      }
      model.finish();
    } catch (error) {
      throw new Error(`seed ${seed}, round ${round}`, { cause: error });
    }
  }
}, 60_000);
