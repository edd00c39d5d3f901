import { expect, test } from "bun:test";
import { Random } from "./random.ts";
import { fuzz } from "./run.ts";
import { TARGETS } from "./targets.ts";

/** Inputs of a run of the suite, of all targets. `bun test/fuzz/run.ts` runs a million. */
const COUNT = 50_000;

for (const [name, { share }] of Object.entries(TARGETS)) {
  test(`${name}: damaged bytes do no harm`, async () => {
    await fuzz({ count: Math.ceil((COUNT * share) / 1000), seed: 1, target: name });
  }, 60_000);
}

test("the same seed gives the same inputs, another one others", () => {
  const words = (...seeds: number[]) => {
    const random = new Random(...seeds);
    return [random.word(), random.word(), random.word()];
  };
  expect(words(1, 2, 3)).toEqual(words(1, 2, 3));
  expect(words(1, 2, 3)).not.toEqual(words(1, 2, 4));
  expect(words(1, 2, 3)).not.toEqual(words(2, 2, 3));
});
