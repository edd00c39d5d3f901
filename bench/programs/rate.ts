/**
 * So many calls submitted at once, each with its own handle, all results collected; one worker.
 *
 *   rate.ts                10^3, 10^4, 10^5 and 10^6 calls
 *   rate.ts priorities     10^6 calls, each of a priority of its own
 */
import { AsyncPool, type MessageHandle } from "../../index.ts";
import { median, report } from "./report.ts";

function same(x: number): number {
  return x;
}

/** Bursts to take the median of, for each size; the large ones are their own average. */
const BURSTS = [
  [1_000, 20],
  [10_000, 5],
  [100_000, 3],
  [1_000_000, 1],
] as const;

await using pool = await AsyncPool.open(1);
const priorities = Float64Array.from({ length: 1_000_000 }, () => Math.random());

type Submit = (i: number) => MessageHandle<number>;
const plain: Submit = (i) => pool.async(same, i);
const random: Submit = (i) => pool.with({ priority: priorities[i]! }).async(same, i);

/** µs per call, from the first submission to the last result. */
async function burst(count: number, submit: Submit): Promise<number> {
  const handles = new Array<MessageHandle<number>>(count);
  const start = Bun.nanoseconds();
  for (let i = 0; i < count; i++) handles[i] = submit(i);
  let sum = 0;
  for (const handle of handles) sum += await handle.get();
  const us = (Bun.nanoseconds() - start) / 1e3;
  if (sum !== (count * (count - 1)) / 2) throw new Error("wrong results");
  return us / count;
}

if (process.argv[2] === "priorities") {
  await burst(100_000, random);
  report({ rate: 1e6 / (await burst(1_000_000, random)) });
} else {
  for (let i = 0; i < 2; i++) await burst(100_000, plain);
  const us: Record<string, number> = {};
  for (const [count, times] of BURSTS) {
    const costs: number[] = [];
    for (let i = 0; i < times; i++) costs.push(await burst(count, plain));
    us[`us${count}`] = median(costs);
  }
  report({ ...us, rate: 1e6 / us["us1000000"]! });
}
