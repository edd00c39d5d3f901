/** An interval of 5 ms beside calls at full rate: how late it comes, and how many calls there are. */
import { AsyncPool } from "../../index.ts";
import { report } from "./report.ts";

const EVERY_MS = 5;
const WARM_MS = 200;
const WATCHED_MS = 700;
/** Batches under way, so that the worker never waits for the next one to be submitted. */
const BATCHES = 8;
/** Calls in a batch: few enough that submitting them is no delay to speak of. */
const BATCH = 128;

function same(x: number): number {
  return x;
}

await using pool = await AsyncPool.open(1);
let going = true;
let calls = 0;

async function submit(): Promise<void> {
  while (going) {
    const handles = Array.from({ length: BATCH }, (_, i) => pool.async(same, i));
    for (const handle of handles) await handle.get();
    calls += BATCH;
  }
}

const running = Array.from({ length: BATCHES }, submit);
await Bun.sleep(WARM_MS);
calls = 0;
const late: number[] = [];
let last = performance.now();
const start = last;
const timer = setInterval(() => {
  const now = performance.now();
  late.push(Math.abs(now - last - EVERY_MS));
  last = now;
}, EVERY_MS);
await Bun.sleep(WATCHED_MS);
const seconds = (performance.now() - start) / 1e3;
clearInterval(timer);
going = false;
await Promise.all(running);
report({ late: late.slice(1), rate: calls / seconds });
