/** What outputs may take while they wait for a reader, or for their turn. */
import { expect, test } from "bun:test";
import type { Keeper } from "../../src/cli/multi/delivery.ts";
import { OutputLostError } from "../../src/cli/multi/errors.ts";
import type { FarmJob, OutputReader } from "../../src/cli/multi/farm-job.ts";
import type { JobResult } from "../../src/cli/multi/job-result.ts";
import { Outputs } from "../../src/cli/multi/outputs.ts";

function job(sequence: number): FarmJob {
  return { sequence, values: [], hash: "", tries: 1, slot: 1, line: "" };
}

function result(out: Uint8Array | null, size = out?.length ?? 0): JobResult {
  return {
    host: "here",
    start: 0,
    runTime: 1,
    exit: 0,
    signal: 0,
    isLate: false,
    refusal: null,
    sizes: [size, 0],
    outputs: [out, new Uint8Array(0)],
    lastWords: "",
  };
}

const NO_READER: OutputReader = {
  read: () => Promise.reject(new Error("nothing is to be read")),
  follow: () => Promise.reject(new Error("nothing is followed")),
  drop: () => {},
};

const LONG = 64 * 1024;

/** Takes outputs once `gate` is open, and knows the first byte and the length of each. */
function keeperBehind(gate: Promise<void>): Keeper & { taken: [number, number][] } {
  const taken: [number, number][] = [];
  return {
    taken,
    place: "a test",
    begin: () => {},
    take: async (_, bytes) => {
      await gate;
      taken.push([bytes[0]!, bytes.length]);
    },
    end: () => {},
    drop: () => {},
    close: () => {},
  };
}

function outputsTo(keeper: Keeper, keepsOrder: boolean): Outputs {
  return new Outputs({ tag: null, prints: false, keepers: [keeper], keepsOrder, live: null });
}

test("a reader that is slow holds up what would come", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const keeper = keeperBehind(promise);
  const outputs = outputsTo(keeper, false);
  const ends: Promise<void>[] = [];
  while (outputs.hasRoom && ends.length < 2_000) {
    const one = job(ends.length);
    outputs.begin(one, NO_READER);
    ends.push(outputs.end(one, result(new Uint8Array(LONG))));
  }
  expect(ends.length).toBe(513);
  resolve();
  await Promise.all(ends);
  expect([outputs.hasRoom, keeper.taken.length]).toEqual([true, 513]);
});

test("jobs without output are held up, too, when very many wait", async () => {
  const outputs = outputsTo(keeperBehind(Promise.resolve()), true);
  const first = job(0);
  outputs.begin(first, NO_READER);
  const ends: Promise<void>[] = [];
  while (outputs.hasRoom && ends.length < 100_000) {
    const one = job(ends.length + 1);
    outputs.begin(one, NO_READER);
    ends.push(outputs.end(one, result(new Uint8Array(0))));
  }
  expect(ends.length).toBe(20_000);
  await outputs.end(first, result(new Uint8Array(0)));
  await Promise.all(ends);
  expect(outputs.hasRoom).toBeTrue();
});

test("outputs that wait for their turn go to a file, and come whole and in order", async () => {
  const keeper = keeperBehind(Promise.resolve());
  const outputs = outputsTo(keeper, true);
  for (const round of [0, 1]) {
    const first = job(0);
    outputs.begin(first, NO_READER);
    const ends = Array.from({ length: 700 }, (_, i) => {
      const one = job(i);
      outputs.begin(one, NO_READER);
      return outputs.end(one, result(new Uint8Array(LONG - i).fill(i % 251)));
    });
    expect(outputs.hasRoom).toBeTrue();
    await outputs.end(first, result(Uint8Array.of(round)));
    await Promise.all(ends);
    const wanted = Array.from({ length: 700 }, (_, i) => [i % 251, LONG - i]);
    expect(keeper.taken.splice(0)).toEqual([[round, 1], ...wanted] as [number, number][]);
  }
  await outputs.close();
});

test("outputs that are lost hold nothing up", async () => {
  const outputs = outputsTo(keeperBehind(Promise.resolve()), false);
  const lost = { ...NO_READER, read: () => Promise.reject(new OutputLostError("it was lost")) };
  for (let i = 0; i < 300; i++) {
    const one = job(i);
    outputs.begin(one, lost);
    await expect(outputs.end(one, result(null, 1))).rejects.toBeInstanceOf(OutputLostError);
  }
  expect(outputs.hasRoom).toBeTrue();
});
