/**
 * piscina, which has no map and no chunks: an item is a call, and all are submitted at once. Rates are
 * of fewer items than the others get, as these take long.
 */
import { ITEMS, leastUs, SHORT_US, unevenLengths } from "../programs/items.ts";
import { median, report } from "../programs/report.ts";
import { load } from "./load.ts";

interface Pool {
  run(data: number, options: { readonly name: string }): Promise<unknown>;
  destroy(): Promise<void>;
}

interface PoolOptions {
  readonly filename: string;
  readonly minThreads: number;
  readonly maxThreads: number;
}

const TRIALS = 3;
const FEW = ITEMS / 50;

const { Piscina } = (await load("piscina")) as { Piscina: new (options: PoolOptions) => Pool };

/** Seconds of all items on so many threads, the median of some trials, after one to warm up. */
async function seconds(threads: number, name: string, items: readonly number[]): Promise<number> {
  const filename = `${import.meta.dir}/../programs/items.ts`;
  const pool = new Piscina({ filename, minThreads: threads, maxThreads: threads });
  const times: number[] = [];
  for (let i = 0; i <= TRIALS; i++) {
    const start = performance.now();
    await Promise.all(items.map((item) => pool.run(item, { name })));
    if (i > 0) times.push((performance.now() - start) / 1e3);
  }
  await pool.destroy();
  return median(times);
}

const lengths = unevenLengths();
const short = Array.from({ length: FEW }, () => SHORT_US);
const rate = FEW / (await seconds(1, "increment", short));
const uneven = (await seconds(2, "pass", lengths)) / (leastUs(lengths, 2) / 1e6);
const full = (FEW * SHORT_US) / 2 / 1e6 / (await seconds(2, "pass", short));
report({ rate, uneven: 100 * uneven, full: 100 * full });
process.exit(0);
