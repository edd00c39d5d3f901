import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Heap } from "../../src/collections/heap.ts";

interface Entry {
  readonly key: number;
  readonly order: number;
}

/** What the heap is to agree with: a list that is sorted at each look. */
class SortedList {
  entries: Entry[] = [];

  push(entry: Entry): void {
    this.entries.push(entry);
    this.entries.sort((a, b) => (a.key === b.key ? a.order - b.order : a.key < b.key ? -1 : 1));
  }
}

const keys = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.double({ noNaN: true }),
  fc.constantFrom(Infinity, -Infinity, 0, -0, Number.MAX_VALUE, Number.MIN_VALUE),
);

type Step =
  | { readonly do: "push"; readonly key: number }
  | { readonly do: "pop" }
  | { readonly do: "keep"; readonly modulus: number };

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: keys.map((key): Step => ({ do: "push", key })) },
    { weight: 4, arbitrary: fc.constant<Step>({ do: "pop" }) },
    {
      weight: 1,
      arbitrary: fc.integer({ min: 1, max: 4 }).map((modulus): Step => ({ do: "keep", modulus })),
    },
  ),
  { maxLength: 400, size: "max" },
);

function popAll(heap: Heap<Entry>): Entry[] {
  const popped: Entry[] = [];
  for (let entry = heap.pop(); entry !== undefined; entry = heap.pop()) popped.push(entry);
  return popped;
}

/** Bytes of the engine's heap and of what hangs on it, typed arrays included. */
async function bytesInUse(): Promise<number> {
  // A turn of its own: the collector takes what lies on the stack of a loop for pointers.
  await new Promise((resolve) => setImmediate(resolve));
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return heapSize + extraMemorySize;
}

/**
 * Waits until no more than `most` bytes are in use. The collector takes whatever is left on the stack for a
 * pointer: other values have to come to lie there before what they pointed to is given up.
 */
async function fallsBelow(most: number): Promise<void> {
  const deadline = performance.now() + 4_000;
  for (;;) {
    scrub(200);
    const bytes = await bytesInUse();
    if (bytes < most) return;
    if (performance.now() > deadline) expect(bytes).toBeLessThan(most);
  }
}

/** Bytes in use once what earlier tests have left is gone: the least of some looks. */
async function atRest(): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < 6; i++) {
    scrub(200);
    least = Math.min(least, await bytesInUse());
  }
  return least;
}

/** Leaves numbers on the stack, `depth` calls deep. */
function scrub(depth: number): number {
  return depth === 0 ? 0 : scrub(depth - 1) + depth;
}

describe("against a sorted list", () => {
  test("any pushes, pops and sweeps give the same items in the same order", () => {
    fc.assert(
      fc.property(steps, (steps) => {
        const heap = new Heap<Entry>();
        const list = new SortedList();
        let order = 0;
        for (const step of steps) {
          if (step.do === "push") {
            const entry = { key: step.key, order: order++ };
            heap.push(entry, entry.key, entry.order);
            list.push(entry);
          } else if (step.do === "pop") {
            expect(heap.pop()).toBe(list.entries.shift()!);
          } else {
            const wanted = (entry: Entry) => entry.order % step.modulus === 0;
            heap.keep(wanted);
            list.entries = list.entries.filter(wanted);
          }
          const [first] = list.entries;
          expect(heap.size).toBe(list.entries.length);
          expect(heap.peek()).toBe(first as Entry);
          expect(heap.peekKey() === (first?.key ?? Infinity)).toBeTrue();
          expect(heap.peekOrder()).toBe(first?.order ?? Infinity);
        }
        expect(popAll(heap)).toEqual(list.entries);
      }),
      { numRuns: 300 },
    );
  });

  test("orders given in any order decide among equal keys", () => {
    const orders = fc.uniqueArray(fc.integer(), { maxLength: 300, size: "max" });
    fc.assert(
      fc.property(orders, (orders) => {
        const heap = new Heap<Entry>();
        for (const order of orders) heap.push({ key: 1, order }, 1, order);
        const expected = orders.toSorted((a, b) => a - b);
        expect(popAll(heap).map(({ order }) => order)).toEqual(expected);
      }),
    );
  });

  test("equal keys and equal orders: every item comes out once", () => {
    const heap = new Heap<number>();
    for (let i = 0; i < 500; i++) heap.push(i, 7, 7);
    const popped = new Set<number | undefined>();
    for (let i = 0; i < 500; i++) popped.add(heap.pop());
    expect(popped.size).toBe(500);
    expect(popped.has(undefined)).toBeFalse();
    expect(heap.size).toBe(0);
  });

  test("the same item may be in it twice", () => {
    const heap = new Heap<string>();
    heap.push("a", 2, 0);
    heap.push("a", 1, 1);
    expect([heap.peekKey(), heap.pop(), heap.peekKey(), heap.pop(), heap.pop()]).toEqual([
      1,
      "a",
      2,
      "a",
      undefined,
    ]);
  });
});

describe("when empty", () => {
  test("there is nothing to see, and it can be filled again", () => {
    const heap = new Heap<string>();
    for (let round = 0; round < 3; round++) {
      expect(heap.pop()).toBeUndefined();
      expect(heap.peek()).toBeUndefined();
      expect([heap.size, heap.peekKey(), heap.peekOrder()]).toEqual([0, Infinity, Infinity]);
      heap.push("only", -Infinity, round);
      expect([heap.size, heap.peekKey(), heap.peekOrder()]).toEqual([1, -Infinity, round]);
      expect(heap.pop()).toBe("only");
    }
  });

  test("a sweep that leaves nothing leaves a heap that works", () => {
    const heap = new Heap<number>();
    for (let i = 0; i < 1000; i++) heap.push(i, -i, i);
    heap.keep(() => false);
    expect([heap.size, heap.pop()]).toEqual([0, undefined]);
    heap.push(1, 1, 1);
    expect(heap.pop()).toBe(1);
  });

  test.each([
    ["pop", (heap: Heap<object>): unknown => heap.pop()],
    ["keep", (heap: Heap<object>): unknown => heap.keep(() => false)],
  ] as const)("the memory of a million items is given back by %s", async (_, drop) => {
    const items = 1_000_000;
    const item = {};
    const heap = new Heap<object>();
    const before = await atRest();
    for (let i = 0; i < items; i++) heap.push(item, i % 1000, i);
    expect((await bytesInUse()) - before).toBeGreaterThan(20 * items);
    while (heap.size > 0) drop(heap);
    await fallsBelow(before + 2 * items);
    // It still is in use, so what was measured is the heap and not its absence.
    heap.push(item, 1, 1);
    expect(heap.pop()).toBe(item);
  });

  test("the memory goes back step by step, not at the end only", async () => {
    const heap = new Heap<number>();
    const before = await atRest();
    for (let i = 0; i < 1_000_000; i++) heap.push(i, i, i);
    const full = (await bytesInUse()) - before;
    while (heap.size > 100_000) heap.pop();
    await fallsBelow(before + full / 2);
    expect(heap.size).toBe(100_000);
  });
});

test("items that were popped are not held", async () => {
  const heap = new Heap<object>();
  let collected = 0 as number;
  const registry = new FinalizationRegistry<undefined>(() => {
    collected++;
  });
  (() => {
    for (let i = 0; i < 100; i++) {
      const item = { i };
      registry.register(item, undefined);
      heap.push(item, i, i);
    }
    for (let i = 0; i < 100; i++) heap.pop();
  })();
  const deadline = performance.now() + 5_000;
  while (collected < 90 && performance.now() < deadline) {
    Bun.gc(true);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(collected).toBeGreaterThanOrEqual(90); // a conservative collector may see a stray pointer
  expect(heap.size).toBe(0);
});
