/** The parts of a map by themselves: sizes of chunks, outcomes, sources, and lists of scalars. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { decodeList, encodeList, isListed } from "../../src/codec/lists.ts";
import { ChunkSize } from "../../src/map/chunk-size.ts";
import { Outcomes, PENDING } from "../../src/map/outcomes.ts";
import { isIterable, Source } from "../../src/map/source.ts";
import { BsyncError } from "../../src/errors.ts";
import { difference } from "../codec/same.ts";
import { Random } from "../fuzz/random.ts";
import { seed } from "../lane.ts";

describe("sizes of chunks", () => {
  const grown = (us: number, steps = 40): ChunkSize => {
    const sizes = new ChunkSize();
    for (let i = 0; i < steps; i++) sizes.observe(sizes.size, us * sizes.size);
    return sizes;
  };

  test("begin with one, at most double, and come to a millisecond", () => {
    const sizes = new ChunkSize();
    expect(sizes.size).toBe(1);
    for (let i = 0; i < 40; i++) {
      const before = sizes.size;
      sizes.observe(before, before);
      expect(sizes.size).toBeGreaterThanOrEqual(before);
      expect(sizes.size).toBeLessThanOrEqual(2 * before);
    }
    expect(sizes.size).toBe(1000);
  });

  test("shrink at once when items turn out to be long", () => {
    const sizes = grown(1);
    sizes.observe(1, 100_000);
    expect(sizes.size).toBeLessThan(4);
  });

  test("are one for long items, and bounded for items of no length", () => {
    expect(grown(10_000).size).toBe(1);
    expect(grown(0).size).toBeLessThanOrEqual(4096);
    expect(grown(1e-9, 60).size).toBeLessThanOrEqual(4096);
  });

  test("do not change by times that make no sense", () => {
    const sizes = grown(1);
    const { size } = sizes;
    for (const us of [NaN, -1, -Infinity, Infinity]) sizes.observe(3, us);
    for (const count of [0, -1, NaN]) sizes.observe(count, 1);
    expect(sizes.size).toBe(size);
  });

  test("of the next chunk: at most half of an equal share, and of the window", () => {
    const sizes = grown(1);
    expect(sizes.next(null, 4, Infinity)).toBe(sizes.size);
    expect(sizes.next(80, 4, Infinity)).toBe(10);
    expect(sizes.next(0, 4, Infinity)).toBe(1);
    expect(sizes.next(null, 4, 16)).toBe(2);
    expect(sizes.next(null, 4, 1)).toBe(1);
    let left = 10_000;
    for (let chunks = 0; left > 0; chunks++) {
      expect(chunks).toBeLessThan(10_000);
      left -= sizes.next(left, 3, Infinity);
    }
    expect(left).toBe(0);
  });

  test("are whole numbers from one, whatever was measured", () => {
    const us = fc.double({ noNaN: false });
    const steps = fc.array(fc.tuple(fc.nat(5000), us), { maxLength: 50 });
    const check = (measured: [number, number][], left: number, workers: number) => {
      const sizes = new ChunkSize();
      for (const [count, elapsed] of measured) sizes.observe(count, elapsed);
      for (const size of [sizes.size, sizes.next(left, workers, 100)]) {
        expect(Number.isInteger(size) && size >= 1 && size <= 4096).toBeTrue();
      }
    };
    fc.assert(fc.property(steps, fc.nat(), fc.integer({ min: 1, max: 1000 }), check));
  });
});

test("outcomes come out by their places, in whichever order they came in", () => {
  const random = new Random(seed, 1);
  const outcomes = new Outcomes();
  const due: number[] = [];
  let made = 0;
  for (let step = 0; step < 20_000; step++) {
    if (random.oneIn(3) && due.length < 3000) due.push(made++);
    else if (random.oneIn(2) && due.length > 0) {
      const [place] = due.splice(random.below(due.length), 1);
      outcomes.put(place!, place === 7 ? undefined : place);
    }
    const { next } = outcomes;
    const isThere = next < made && !due.includes(next);
    if (!random.oneIn(4)) continue;
    expect(outcomes.take()).toBe(!isThere ? PENDING : next === 7 ? undefined : next);
    expect(outcomes.next).toBe(next + (isThere ? 1 : 0));
  }
  // Far ahead of what is read.
  const far = new Outcomes();
  for (let place = 5000; place >= 0; place--) far.put(place, place);
  for (let place = 0; place <= 5000; place++) expect(far.take()).toBe(place);
});

describe("sources", () => {
  /** All that a source gives, and what it says last. */
  async function all(items: object | string): Promise<[unknown[], string, unknown]> {
    const found: unknown[] = [];
    let ready = Promise.withResolvers<void>();
    const source = new Source(items, () => ready.resolve());
    for (;;) {
      const taken = source.take();
      if (taken === "item") found.push(source.taken);
      else if (taken !== "wait") return [found, taken, source.taken];
      else {
        expect(source.take()).toBe("wait");
        await ready.promise;
        ready = Promise.withResolvers<void>();
      }
    }
  }

  test("give the items of any iterable, promises among them awaited", async () => {
    expect(await all([1, Promise.resolve(2), 3])).toEqual([[1, 2, 3], "end", undefined]);
    expect(await all("aé😀")).toEqual([["a", "é", "😀"], "end", undefined]);
    expect(await all(new Set([1]))).toEqual([[1], "end", undefined]);
    const later = async function* () {
      yield 1;
      await null;
      yield 2;
    };
    expect(await all(later())).toEqual([[1, 2], "end", undefined]);
    // `next` that is no async function, of an object that says it is asynchronous.
    const plain = { [Symbol.asyncIterator]: () => ({ next: () => ({ done: true, value: 3 }) }) };
    expect(await all(plain)).toEqual([[], "end", undefined]);
  });

  test("fail where they fail", async () => {
    const broken = [
      { [Symbol.iterator]: () => 3 },
      { [Symbol.iterator]: () => ({}) },
      { [Symbol.iterator]: () => ({ next: () => 4 }) },
      { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(4) }) },
      {
        [Symbol.iterator]: () => {
          throw new TypeError("begin");
        },
      },
      { [Symbol.iterator]: () => ({ next: () => Promise.resolve() }) },
    ];
    for (const items of broken.slice(0, 5)) {
      const [found, taken, error] = await all(items);
      expect([found, taken, error instanceof TypeError]).toEqual([[], "failed", true]);
    }
    expect(await all([1, Promise.reject("no")])).toEqual([[1], "failed", "no"]);
  });

  test("tell how many there are, where that is known, and are closed once", async () => {
    const sizeOf = (items: object | string) => new Source(items, () => {}).size;
    expect([[1, 2], new Set([1]), new Map(), new Int8Array(3)].map(sizeOf)).toEqual([2, 1, 0, 3]);
    expect(["abc", [].values(), { [Symbol.iterator]: () => [].values() }].map(sizeOf)).toEqual([
      null,
      null,
      null,
    ]);
    let closed = 0;
    const iterator = { next: () => ({ done: false, value: 1 }), return: () => closed++ };
    const source = new Source({ [Symbol.iterator]: () => iterator }, () => {});
    source.take();
    await Promise.all([source.close(), source.close()]);
    expect([closed, source.take()]).toEqual([1, "end"]);
  });

  test("are what can be iterated", () => {
    expect([[], "", new Map(), (async function* () {})()].every(isIterable)).toBeTrue();
    const wrong = [
      null,
      undefined,
      1,
      true,
      {},
      () => {},
      Symbol.iterator,
      { [Symbol.iterator]: 1 },
    ];
    expect(wrong.some(isIterable)).toBeFalse();
  });
});

describe("lists", () => {
  const trip = (values: unknown[]): unknown[] => {
    const { format, body } = encodeList(values);
    const bytes = new Uint8Array(body.length + 3);
    bytes.set(body, 3);
    return decodeList(format, bytes, 3, bytes.length);
  };
  const item = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.constantFrom(0, NaN, Infinity, -Infinity, 2 ** 31, -(2 ** 31), 2 ** 31 - 1, 2 ** 32),
    fc.constantFrom(2 ** 53, -(2 ** 53), 2 ** 53 - 1, 5e-324, 0.1, 1e308),
    fc.boolean(),
    fc.constantFrom(null, undefined, "", "\0", "é😀", "__proto__", "a".repeat(4096)),
    fc.string({ unit: "binary" }),
  );

  test("come back as they were", () => {
    const kinds = [fc.array(fc.integer()), fc.array(fc.double()), fc.array(item)];
    for (const lists of kinds) {
      fc.assert(
        fc.property(lists, (values) => {
          const listed = values.filter(isListed);
          expect(difference(trip(listed), listed)).toBeNull();
        }),
      );
    }
  });

  test("hold no value that would not come back", () => {
    const others = [-0, "\ud800", "\ufeffx", 1n, Symbol("x"), {}, [], new Date(), () => 1];
    expect(others.some(isListed)).toBeFalse();
    expect(isListed("a".repeat(4097))).toBeFalse();
  });

  test("are refused, and nothing else, where their bytes are damaged", () => {
    const damaged = fc.tuple(fc.nat(6), fc.uint8Array({ maxLength: 40 }));
    fc.assert(
      fc.property(damaged, ([format, bytes]) => {
        try {
          expect(Array.isArray(decodeList(format, bytes, 0, bytes.length))).toBeTrue();
        } catch (error) {
          expect(error).toBeInstanceOf(BsyncError);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
