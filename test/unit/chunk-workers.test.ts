import { expect, test } from "bun:test";
import { ChunkSize } from "../../src/map/chunk-size.ts";

/** The size that chunks come to, with so many workers, of items that take so many µs. */
function sizeOf(workers: number, us: number): number {
  const sizes = new ChunkSize(workers);
  for (let i = 0; i < 100; i++) sizes.observe(sizes.size, sizes.size * us);
  return sizes.size;
}

test("chunks take as long as the controller needs for the messages of all workers", () => {
  expect([1, 2, 100].map((workers) => sizeOf(workers, 10))).toEqual([100, 100, 100]);
  expect(sizeOf(150, 10)).toBe(150);
  expect(sizeOf(256, 10)).toBe(256);
  expect([500, 1_000, 1_500].map((workers) => sizeOf(workers, 10))).toEqual([500, 500, 500]);
  // Longer items than that travel alone, whatever the number of workers.
  expect(sizeOf(10_000, 6_000)).toBe(1);
});

test("a chunk for each worker is at most a million items", () => {
  expect(sizeOf(1, 0.01)).toBe(4096);
  expect(sizeOf(256, 0.01)).toBe(4096);
  for (const workers of [1_000, 16_000, 100_000, 2_000_000]) {
    const size = sizeOf(workers, 0.01);
    expect(size).toBeGreaterThanOrEqual(1);
    expect(size * workers).toBeLessThanOrEqual(Math.max(1 << 20, workers));
  }
});
