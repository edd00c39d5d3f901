/**
 * `pool.map` with chunks that it chooses itself.
 *
 *   map.ts           10^6 items of a function that does nothing, one worker: awaited, and read one by one
 *   map.ts balance   2,000 items of 1 µs to 100 ms, few of them long, on two workers: the time for all, as a
 *                    share of the least that two workers can take; and 10^5 items of 20 µs: the share of
 *                    the workers' time that they fill. Items sleep, or look at the clock, so that two
 *                    workers and a controller share two cores
 */
import { AsyncPool } from "../../index.ts";
import { increment, ITEMS, leastUs, pass, SHORT_US, unevenLengths } from "./items.ts";
import { median, report } from "./report.ts";

const TRIALS = 3;

function* range(count: number): Iterable<number> {
  for (let i = 0; i < count; i++) yield i;
}

/** Items a second of the best of some trials' median. */
async function rate(run: () => Promise<number>): Promise<number> {
  const rates: number[] = [];
  for (let i = 0; i <= TRIALS; i++) {
    const start = Bun.nanoseconds();
    const sum = await run();
    if (sum !== (ITEMS * (ITEMS + 1)) / 2) throw new Error("wrong results");
    // The first is to warm up.
    if (i > 0) rates.push(ITEMS / ((Bun.nanoseconds() - start) / 1e9));
  }
  return median(rates);
}

async function rates(): Promise<void> {
  await using pool = await AsyncPool.open(1);
  const awaited = await rate(async () => {
    let sum = 0;
    for (const value of await pool.map(increment, range(ITEMS))) sum += value;
    return sum;
  });
  const read = await rate(async () => {
    let sum = 0;
    for await (const value of pool.map(increment, range(ITEMS))) sum += value;
    return sum;
  });
  report({ awaited, read });
}

async function balance(): Promise<void> {
  const workers = 2;
  await using pool = await AsyncPool.open(workers);
  const lengths = unevenLengths();
  const short = Array.from({ length: 100_000 }, () => SHORT_US);
  const share = async (list: readonly number[], leastMs: number): Promise<number> => {
    const start = performance.now();
    await pool.map(pass, list);
    return (performance.now() - start) / leastMs;
  };
  const least = leastUs(lengths, workers) / 1e3;
  const uneven: number[] = [];
  const full: number[] = [];
  for (let i = 0; i < TRIALS; i++) {
    uneven.push(100 * (await share(lengths, least)));
    full.push(100 / (await share(short, (short.length * SHORT_US) / 1e3 / workers)));
  }
  report({ uneven: median(uneven), full: median(full) });
}

await (process.argv[2] === "balance" ? balance() : rates());
