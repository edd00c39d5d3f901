import { describe, expect, test } from "bun:test";
import { Estimates, LONG_US, observe, unmeasured } from "../../src/scheduler/estimates.ts";
import type { FunctionRecord } from "../../src/function/record.ts";

function record(id: number): FunctionRecord {
  return { id, label: `f${id}`, reference: { kind: "text", text: `f${id}` } };
}

describe("what a pool knows of a function", () => {
  test("is its own: another pool's calls teach it nothing", () => {
    const [a, b] = [new Estimates(), new Estimates()];
    const fn = record(1);
    observe(a.of(fn), 1);
    observe(b.of(fn), 1e6);
    expect([a.of(fn).expected, b.of(fn).expected]).toEqual([1, 1e6]);
    expect(new Estimates().of(fn).expected).toBe(Infinity);
  });

  test("stays, in whatever order functions are called", () => {
    const estimates = new Estimates();
    const records = [1, 2, 3].map(record);
    for (const fn of records) observe(estimates.of(fn), fn.id);
    for (const fn of [...records, ...records.toReversed()]) {
      expect(estimates.of(fn).expected).toBe(fn.id);
      expect(estimates.of(fn)).toBe(estimates.of(fn));
    }
  });

  test("is named to workers as everywhere", () => {
    const fn = record(7);
    const { id, label, reference } = new Estimates().of(fn);
    expect({ id, label, reference }).toEqual({ ...fn });
  });
});

describe("an estimate", () => {
  test("is long at once after a long call, and is told of once", () => {
    const fn = unmeasured(record(1));
    expect([3, 1, 4000, 5000].map((us) => observe(fn, us))).toEqual([false, false, true, false]);
    expect(fn.expected).toBe(5000);
  });

  test("is short again after some short calls: one interruption is soon forgotten", () => {
    const fn = unmeasured(record(1));
    for (const us of [1, 1, 4000]) observe(fn, us);
    let calls = 0;
    for (; fn.expected >= LONG_US; calls++) observe(fn, 1);
    expect(calls).toBeLessThan(8);
  });

  test("is trusted as often as it was short, half as much after each long call", () => {
    const fn = unmeasured(record(1));
    for (const us of [1, 2, 900, 1, 60, 1, 1, 1]) observe(fn, us);
    expect(fn.trust).toBe(4);
  });

  test("remembers the longest call, the less the more long ones have come since", () => {
    const fn = unmeasured(record(1));
    const longest = [1, 8000, 2, 60, 60, 5000].map((us) => {
      observe(fn, us);
      return fn.longest;
    });
    expect(longest).toEqual([0, 8000, 8000, 4000, 2000, 5000]);
  });

  test("learns nothing from what is no length", () => {
    const fn = unmeasured(record(1));
    for (const us of [NaN, -1]) expect(observe(fn, us)).toBeFalse();
    expect([fn.expected, fn.longest, fn.trust]).toEqual([Infinity, 0, 0]);
  });
});
