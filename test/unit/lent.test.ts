/** Memory of large arrays that is used again once they are collected. */
import { expect, test } from "bun:test";
import { until } from "../contract/assert.ts";
import { LentMemory } from "../../src/os/libc.ts";
import { giveBack, takeBack } from "../../src/os/lent.ts";

const BYTES = 2 ** 20;

const memory = LentMemory.open()!;

/** Until the collector has come by: how often it has to is its affair. */
async function comesBack(piece: NonNullable<ReturnType<LentMemory["make"]>>): Promise<void> {
  await until("the memory to come back", () => {
    Bun.gc(true);
    return memory.isBack(piece);
  });
}

test("memory comes back when its array is collected, and not before", async () => {
  const piece = memory.make(BYTES)!;
  expect(memory.isBack(piece)).toBeFalse();
  let array: Uint8Array | null = new Uint8Array(memory.lend(piece, BYTES - 5));
  expect([array.length, array[0], array.at(-1)]).toEqual([BYTES - 5, 0, 0]);
  array.fill(7);
  let part: Uint8Array | null = array.subarray(1000, 1001);
  array = null;
  Bun.gc(true);
  expect([memory.isBack(piece), part[0]]).toEqual([false, 7]);
  part = null;
  await comesBack(piece);
  // The next array has what the last one left.
  const next = new Uint8Array(memory.lend(piece, BYTES));
  expect([memory.isBack(piece), next[0], next[1000]]).toEqual([false, 0, 7]);
});

test("memory that was transferred comes back when the last array on it is collected", async () => {
  const piece = memory.make(BYTES)!;
  let first: ArrayBuffer | null = memory.lend(piece, BYTES);
  new Uint8Array(first)[500] = 9;
  let second: ArrayBuffer | null = first.transfer();
  expect(first.detached).toBeTrue();
  first = null;
  let third: ArrayBuffer | null = structuredClone(second, { transfer: [second] });
  second = null;
  Bun.gc(true);
  expect([memory.isBack(piece), new Uint8Array(third)[500]]).toEqual([false, 9]);
  third = null;
  await comesBack(piece);
});

test("memory that went to another thread comes back from there", async () => {
  const piece = memory.make(BYTES)!;
  const text = "onmessage = ({ data }) => postMessage(new Uint8Array(data)[3])";
  const thread = new Worker(URL.createObjectURL(new Blob([text])));
  const sent = memory.lend(piece, BYTES);
  new Uint8Array(sent)[3] = 4;
  const { promise, resolve } = Promise.withResolvers<unknown>();
  thread.onmessage = ({ data }) => resolve(data);
  thread.postMessage(sent, [sent]);
  expect(await promise).toBe(4);
  thread.terminate();
  await comesBack(piece);
});

test("a loop that drops its arrays gets the same memory again, and arrays of other sizes do not", async () => {
  const size = 8 * BYTES;
  // The first ones are the engine's affair.
  while (takeBack(size) === null);
  Bun.gc(true);
  const seen = new Set<number>();
  for (let i = 0; i < 50; i++) {
    const array = new Uint8Array(takeBack(size - i)!);
    // Of new memory it is 0.
    seen.add(array[4096]!);
    array.fill(1);
    if (i % 5 === 0) Bun.gc(true);
  }
  expect([...seen].sort()).toEqual([0, 1]);
  giveBack();
  Bun.gc(true);
  giveBack();
  expect(new Uint8Array(takeBack(size)!)[4096]).toBe(0);
  expect(new Uint8Array(takeBack(BYTES)!)[4096]).toBe(0);
});
