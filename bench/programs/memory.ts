/** What 10^6 queued calls take of memory, on the controller, and what is left of it afterwards. */
import { heapStats } from "bun:jsc";
import { AsyncPool, type MessageHandle } from "../../index.ts";
import { report } from "./report.ts";

const CALLS = 1_000_000;

function same(x: number): number {
  return x;
}

await using pool = await AsyncPool.open(1);
// The array is the program's, not the queue's: it is there before and after.
const handles = new Array<MessageHandle<number> | null>(CALLS).fill(null);

interface Memory {
  readonly heap: number;
  readonly resident: number;
}

function memory(): Memory {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return { heap: heapSize + extraMemorySize, resident: process.memoryUsage.rss() };
}

async function collect(): Promise<void> {
  // One worker: they are settled in the order in which they were submitted.
  await handles.findLast((handle) => handle !== null);
  handles.fill(null);
}

function submit(count: number): void {
  for (let i = 0; i < count; i++) handles[i] = pool.async(same, i);
}

// Code, rings and pools of memory that are made once.
submit(100_000);
await collect();
await Bun.sleep(20);

const before = memory();
submit(CALLS);
// No turn of the event loop has passed: what was sent is still held as well.
const during = memory();
await collect();
await Bun.sleep(50);
memory();
await Bun.sleep(50);
const after = memory();

report({
  heap: (during.heap - before.heap) / CALLS,
  resident: (during.resident - before.resident) / CALLS,
  left: (after.heap - before.heap) / 1e6,
});
