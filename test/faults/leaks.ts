/**
 * Many tasks, many pools, many deaths, and then: is all as it was? Descriptors, processes, timers, memory,
 * MPI's requests, on the controller and on the workers that stay.
 *
 *   bun test/faults/leaks.ts [--tasks 100000] [--pools 1000] [--deaths 1000] [--mode local|openmpi|mpich]
 *                            [--isolate]
 */
import { heapStats } from "bun:jsc";
import { readdirSync, readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { AsyncPool, usingMpi, WorkerLostError } from "../../index.ts";
import { startMpi } from "../../src/mpi/start.ts";
import { assert, failure, until } from "../contract/assert.ts";
import { launched } from "./launched.ts";

/** Calls, pools and deaths before what is kept for ever is there. */
const WARM_UP = 0.1;

/** Tasks in flight or queued at a time. */
const AT_ONCE = 1_000;

/** Bytes by which a heap, and a whole process, may be larger after any number of tasks. */
const HEAP_BYTES = 4 * 2 ** 20;
const PROCESS_BYTES = 64 * 2 ** 20;

const { values } = parseArgs({
  options: {
    tasks: { type: "string", default: "100000" },
    pools: { type: "string", default: "1000" },
    deaths: { type: "string", default: "1000" },
    mode: { type: "string", default: "local" },
    isolate: { type: "boolean", default: false },
  },
});

const { isolate } = values;

/** What a process holds. */
export interface Holdings {
  readonly descriptors: number;
  readonly children: number;
  readonly timers: number;
  readonly promises: number;
  readonly heap: number;
  readonly process: number;
}

export function holdings(): Holdings {
  for (let i = 0; i < 3; i++) Bun.gc(true);
  const { objectTypeCounts, heapSize } = heapStats();
  const count = (...types: string[]) => {
    let sum = 0;
    for (const type of types) sum += objectTypeCounts[type] ?? 0;
    return sum;
  };
  return {
    descriptors: readdirSync("/proc/self/fd").length,
    children: readFileSync("/proc/thread-self/children", "utf8").split(" ").length - 1,
    timers: count("Timeout", "Immediate"),
    promises: count("Promise"),
    heap: heapSize,
    process: process.memoryUsage.rss(),
  };
}

/** Nothing may have become more by the number of things done; `things` of them were. */
function compare(who: string, before: Holdings, after: Holdings, things: number): void {
  const told = `${who} after ${things}: ${JSON.stringify(before)} became ${JSON.stringify(after)}`;
  assert.ok(after.descriptors <= before.descriptors, told);
  assert.ok(after.children <= before.children, told);
  // A few are of this very measurement.
  assert.ok(after.timers - before.timers < 5 + things / 50, told);
  assert.ok(after.promises - before.promises < 50 + things / 50, told);
  assert.ok(after.heap - before.heap < HEAP_BYTES, told);
  assert.ok(after.process - before.process < PROCESS_BYTES, told);
}

export function echo(x: unknown): unknown {
  return x;
}

export function exit(): never {
  process.exit(1);
}

const MPI = { initTimeout: 60_000 };

const FLOATS = new Float64Array(20_000).fill(1.5);

async function runTasks(pool: AsyncPool, count: number): Promise<void> {
  const timed = pool.with({ timeout: 60_000 });
  for (let done = 0; done < count; done += AT_ONCE) {
    const handles = Array.from({ length: AT_ONCE }, (_, i) => {
      const x = done + i;
      // One in a thousand is large, others have a deadline, are an object, or are cancelled.
      if (i === 7) return pool.async(echo, FLOATS);
      if (i % 10 === 3) return timed.async(echo, x);
      return pool.async(echo, i % 10 === 5 ? { x, list: [x] } : x);
    });
    for (let i = 9; i < AT_ONCE; i += 10) handles[i]!.cancel();
    await Promise.allSettled(handles);
  }
}

/** Resolves once what was sent, and what has to end, is gone. */
async function settle(): Promise<void> {
  await until("the requests to be done", () => !usingMpi() || startMpi(MPI).pending === 0);
  await Bun.sleep(50);
}

async function checkTasks(count: number): Promise<void> {
  await using pool = await AsyncPool.open(2, { isolate });
  await runTasks(pool, count * WARM_UP);
  await settle();
  const before = [holdings(), ...(await pool.each(holdings))];
  await runTasks(pool, count);
  await settle();
  const after = [holdings(), ...(await pool.each(holdings))];
  before.forEach((first, i) => compare(i === 0 ? "controller" : "worker", first, after[i]!, count));
}

async function usePools(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const pool = await AsyncPool.open(1, { isolate });
    assert.equal(await pool.async(echo, i), i);
    // Half of them are ended with something under way.
    if (i % 2 === 0) await pool.close();
    else {
      void pool.async("() => new Promise(() => {})");
      await pool.terminate();
    }
  }
}

/** Of this process, and of the ranks that serve the pools that come and go. */
async function holdingsOfAll(): Promise<Holdings[]> {
  await settle();
  if (!usingMpi()) return [holdings()];
  await using pool = await AsyncPool.open();
  return [holdings(), ...(await pool.each(holdings))];
}

function compareAll(before: Holdings[], after: Holdings[], things: number): void {
  before.forEach((first, i) => compare(i === 0 ? "controller" : "rank", first, after[i]!, things));
}

async function checkPools(count: number): Promise<void> {
  await usePools(Math.ceil(count * WARM_UP));
  await holdingsOfAll();
  const before = await holdingsOfAll();
  await usePools(count);
  compareAll(before, await holdingsOfAll(), count);
}

async function checkDeaths(count: number): Promise<void> {
  await using pool = await AsyncPool.open(2, { isolate });
  const die = async (times: number) => {
    for (let i = 0; i < times; i++) {
      await failure(pool.async(exit), WorkerLostError);
      if (i % 10 === 0) assert.equal(await pool.async(echo, i), i);
    }
    await pool.each(echo, 0);
  };
  await die(Math.ceil(count * WARM_UP));
  await holdingsOfAll();
  const before = await holdingsOfAll();
  await die(count);
  compareAll(before, await holdingsOfAll(), count);
}

async function main(): Promise<void> {
  const [tasks, pools, deaths] = [values.tasks, values.pools, values.deaths].map(Number) as [
    number,
    number,
    number,
  ];
  const start = performance.now();
  await checkTasks(tasks);
  await checkPools(pools);
  // A rank that dies takes its job along.
  const mortal = !usingMpi() || isolate;
  if (mortal) await checkDeaths(deaths);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const what = `${tasks} tasks, ${pools} pools${mortal ? `, ${deaths} deaths` : ""}`;
  console.log(`nothing is left of ${what} (${seconds} s)`);
}

await launched(values.mode, import.meta.path);
// The other ranks serve from here on; local workers come no further than this.
const first = await AsyncPool.open(1);
await first.close();
await main();
