/** Lengths of time, counted in buckets. */
import { expect, test } from "bun:test";
import { createHistogram } from "node:perf_hooks";
import { Histogram } from "../../src/watch/histogram.ts";

test("nothing was recorded: all is 0", () => {
  const { times } = new Histogram();
  expect(Object.values(times)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
});

test("percentiles are those of the engine's HdrHistogram, to a hundredth", () => {
  const own = new Histogram();
  const reference = createHistogram({ lowest: 1, highest: 3.6e12, figures: 4 });
  let word = 7;
  for (let i = 0; i < 50_000; i++) {
    word = (Math.imul(word, 1_103_515_245) + 12_345) >>> 0;
    // From 0.3 µs to an hour.
    const ms = 3e-4 * Math.exp((word / 2 ** 32) * 23);
    own.record(ms);
    reference.record(Math.max(1, Math.round(ms * 1e6)));
  }
  const { p50, p90, p99, p999, count, mean, min, max } = own.times;
  for (const [share, ms] of [
    [50, p50],
    [90, p90],
    [99, p99],
    [99.9, p999],
  ] as const) {
    const expected = reference.percentile(share) / 1e6;
    expect(Math.abs(ms / expected - 1)).toBeLessThan(0.01);
  }
  expect(count).toBe(50_000);
  expect(mean / (reference.mean / 1e6)).toBeCloseTo(1, 3);
  expect(min / (reference.min / 1e6)).toBeCloseTo(1, 2);
  expect(max / (reference.max / 1e6)).toBeCloseTo(1, 3);
});

test("many of one length count as many, and lie in one place", () => {
  const many = new Histogram();
  const single = new Histogram();
  for (const [ms, count] of [
    [0, 3],
    [0.25, 1_000],
    [17, 20],
    [1e7, 1],
  ] as const) {
    many.record(ms, count);
    for (let i = 0; i < count; i++) single.record(ms);
  }
  const { mean, ...rest } = many.times;
  const { mean: other, ...others } = single.times;
  expect(rest).toEqual(others);
  expect(mean).toBeCloseTo(other, 6);
  expect(many.count).toBe(1_024);
});

test("lengths out of all bounds are counted at the ends; what is no number is not", () => {
  const histogram = new Histogram();
  for (const ms of [-5, 0, 1e30, Infinity, NaN]) histogram.record(ms);
  const { count, min, max, p50, p999 } = histogram.times;
  expect([count, min, max]).toEqual([4, 0, Infinity]);
  expect(p50).toBeLessThan(0.001);
  expect(p999).toBeGreaterThan(1e9);
});

test("a length alone is given as it is", () => {
  for (const ms of [1e-4, 0.0314, 1, 12.5, 3_600_000, 2 ** 31, 2 ** 40]) {
    const histogram = new Histogram();
    histogram.record(ms);
    const { p50, p999, mean, min, max } = histogram.times;
    expect([p50, p999, mean, min, max]).toEqual([ms, ms, ms, ms, ms]);
  }
});
