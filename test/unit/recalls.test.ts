import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type KnownFunction, LONG_US } from "../../src/scheduler/estimates.ts";
import { greedily, Rig, type Sight } from "./recalls-model.ts";
import { newFunction } from "./scheduler-model.ts";

/** ms within which what an idle worker could do has to begin there. */
const AT_ONCE_MS = 10;

const SIGHTS: readonly Sight[] = ["seen", "isolated", "far"];

/** Workers that have done so many calls of some µs of a function. */
function rigOf(workers: number, sight: Sight, shortCalls = 200): [Rig, KnownFunction] {
  const rig = new Rig(new Array<Sight>(workers).fill(sight));
  const fn = newFunction(1);
  for (let i = 0; i < shortCalls; i++) {
    rig.submit(fn, [0.001]);
    rig.run();
  }
  return [rig, fn];
}

/** Numbers from 0 to 1, the same for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

type Lengths = (random: () => number) => number[];
const each = (length: (i: number, random: () => number) => number): Lengths => {
  return (random) => Array.from({ length: 240 }, (_, i) => length(i, random));
};
const KINDS: readonly [string, Lengths][] = [
  ["uneven", each((_, random) => 25 * 2500 ** -random())],
  ["growing", each((i) => 25 * (i / 240) ** 3)],
  ["bimodal", each((_, random) => (random() < 0.1 ? 25 : 0.02))],
  ["slow for the first time", each((i) => (i < 4 ? 100 : 1))],
  ["slow from the middle on", each((i) => (i < 120 ? 0.002 : 20))],
  ["all slow, a few", () => new Array<number>(16).fill(700)],
  ["all slow", () => new Array<number>(40).fill(1000)],
];

describe.each(SIGHTS)("calls of a function that was short, on workers that are %s", (sight) => {
  test.each(KINDS)("%s: as soon as by greedy scheduling, each once", (_, lengthsOf) => {
    for (let seed = 1; seed <= 20; seed++) {
      const [rig, fn] = rigOf(4, sight);
      const lengths = lengthsOf(randomOf(seed));
      const tasks = rig.submit(fn, lengths);
      const ms = rig.run();
      expect(tasks.map((task) => rig.begun.get(task))).toEqual(tasks.map(() => 1));
      expect(ms).toBeLessThanOrEqual(1.1 * greedily(lengths, 4) + AT_ONCE_MS / 2);
    }
  });
});

describe.each(["seen", "isolated"] as const)(
  "while a worker is idle, of one that is %s",
  (sight) => {
    test("what lies behind a call begins elsewhere at once", () => {
      for (const others of [1, 2, 5, 20]) {
        const [rig, fn] = rigOf(2, sight);
        const [, short, ...behind] = rig.submit(fn, [
          500,
          ...new Array<number>(others + 1).fill(0.001),
        ]);
        rig.run();
        const [first] = [short!, ...behind].map((task) => rig.startedAt.get(task)!);
        for (const task of behind) {
          expect(rig.startedAt.get(task)! - first!).toBeLessThan(AT_ONCE_MS);
        }
      }
    });

    test("calls of some µs are not recalled, however many", () => {
      const [rig, fn] = rigOf(3, sight);
      for (const calls of [2, 10, 1000, 5000]) {
        rig.submit(fn, new Array<number>(calls).fill(0.001));
        rig.run();
      }
      expect(rig.recallCount).toBe(0);
    });

    test("one call alone that runs is not recalled, and not looked at", () => {
      const [rig, fn] = rigOf(3, sight);
      rig.submit(fn, [10_000]);
      rig.run(100);
      expect([rig.recallCount, rig.recalls.nextLook]).toEqual([0, Infinity]);
    });

    test("what only that worker may do stays with it", () => {
      const [rig, fn] = rigOf(2, sight);
      rig.hold(0, 200);
      const [pinned] = rig.submit(fn, [0.001], rig.connections[0]!.record);
      rig.run();
      expect(rig.recallCount).toBe(0);
      expect(pinned!.record).toBe(rig.connections[0]!.record);
    });
  },
);

test("what a worker does not begin is begun elsewhere, at once", () => {
  const [rig, fn] = rigOf(2, "seen");
  rig.hold(0, 1000);
  rig.hold(1, 0.001);
  const start = rig.now;
  const tasks = rig.submit(fn, [5, 5, 5]);
  rig.run(100);
  for (const task of tasks) expect(rig.startedAt.get(task)! - start).toBeLessThan(AT_ONCE_MS + 10);
  expect(tasks.every(({ record }) => record === rig.connections[1]!.record)).toBeTrue();
});

test("where all workers are slow to begin, calls are not handed round for ever", () => {
  const [rig, fn] = rigOf(4, "seen");
  for (let i = 0; i < 4; i++) rig.hold(i, 1000);
  rig.submit(fn, [1, 1]);
  rig.run();
  expect(rig.recallCount).toBeLessThan(30);
});

test("one interruption does not make a short function long for good", () => {
  const [rig, fn] = rigOf(2, "seen");
  rig.submit(fn, [5, ...new Array<number>(20).fill(0.001)]);
  rig.run();
  expect(rig.recallCount).toBe(1);
  for (let i = 0; i < 10; i++) {
    rig.submit(fn, [0.001]);
    rig.run();
  }
  expect(fn.expected).toBeLessThan(LONG_US);
});

test("to a worker out of sight more is sent ahead the longer calls have been short", () => {
  const aheadAfter = (calls: number, ...long: number[]) => {
    const [rig, fn] = rigOf(2, "far", calls);
    for (const ms of long) {
      rig.submit(fn, [ms, ...new Array<number>(20).fill(0.001)]);
      rig.run();
    }
    rig.submit(fn, new Array<number>(1000).fill(0.001));
    rig.run(0);
    return Math.max(...rig.connections.map(({ record }) => record.inFlight.length));
  };
  expect([50, 500, 10_000].map((calls) => aheadAfter(calls))).toEqual([1, 6, 50]);
  expect(aheadAfter(10_000, 1000)).toBe(1);
});

test("out of sight, calls are spread evenly", () => {
  const [rig, fn] = rigOf(4, "far", 10_000);
  rig.submit(fn, new Array<number>(22).fill(900));
  rig.run(0);
  const lengths = rig.connections.map(({ record }) => record.inFlight.length);
  expect(lengths.toSorted()).toEqual([5, 5, 6, 6]);
});

test("whatever is submitted and held, each call is begun once, and recalls come to an end", () => {
  const ms = fc.oneof(
    fc.constantFrom(0.001, 0.001, 0.001, 0.02, 1, 30),
    fc.double({ min: 0.001, max: 50, noNaN: true }),
  );
  const calls = fc.record({
    deed: fc.constant("calls" as const),
    lengths: fc.array(ms, { minLength: 1, maxLength: 30 }),
    fn: fc.nat(1),
    pinnedTo: fc.option(fc.nat(3), { freq: 5 }),
  });
  const held = fc.record({
    deed: fc.constant("hold" as const),
    worker: fc.nat(3),
    ms: fc.nat(100),
  });
  const pause = fc.record({ deed: fc.constant("run" as const), ms: fc.nat(40) });
  const sights = fc.array(fc.constantFrom(...SIGHTS), { minLength: 1, maxLength: 4 });
  const property = fc.property(
    sights,
    fc.array(fc.oneof(calls, held, pause), { maxLength: 30 }),
    (sights, deeds) => {
      const rig = new Rig(sights);
      const fns = [newFunction(1, 1), newFunction(2)];
      for (const deed of deeds) {
        if (deed.deed === "run") rig.run(deed.ms);
        else if (deed.deed === "hold") rig.hold(deed.worker % sights.length, deed.ms);
        else {
          const pinnedTo =
            deed.pinnedTo === null
              ? undefined
              : rig.connections[deed.pinnedTo % sights.length]!.record;
          rig.submit(fns[deed.fn]!, deed.lengths, pinnedTo);
        }
      }
      rig.run();
      for (const times of rig.begun.values()) expect(times).toBe(1);
      expect(rig.begun.size).toBe(rig.submitted);
      expect(rig.scheduler.queued).toBe(0);
    },
  );
  fc.assert(property, { numRuns: 300 });
});
