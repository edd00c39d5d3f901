/** A job with something to see, for the pictures in the documents: functions that wait, some that fail. */
import { AsyncPool, type Dashboard, taskContext } from "../../index.ts";

export const WORKERS = 8;

/** Its processor is slower, it seems. */
const SLOW_WORKER = 5;

/** Waits so many ms, there longer. */
async function work(ms: number): Promise<void> {
  await Bun.sleep(taskContext().worker === SLOW_WORKER ? 2.2 * ms : ms);
}

/** The same at each run. */
function chance(n: number): number {
  const x = Math.sin(n * 12.9898) * 43_758.5453;
  return x - Math.floor(x);
}

async function render(frame: number): Promise<number> {
  await work(250 + 500 * chance(frame));
  if (frame % 37 === 21) throw new RangeError("light 3 is outside of the scene");
  return frame;
}

async function measure(sample: number): Promise<number> {
  await work(20 + 160 * chance(sample) ** 4);
  if (sample % 50 === 49) throw new TypeError("cannot read a sample that is <empty>");
  return sample;
}

async function align(pair: number): Promise<number> {
  await work(1_500 + 3_500 * chance(pair));
  // As the kernel does where memory runs out.
  if (pair === 5 && taskContext().attempt === 1) process.kill(process.pid, "SIGKILL");
  return pair;
}

function* endless(): Generator<number> {
  for (let i = 0; ; i++) yield i;
}

async function read(results: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of results);
}

/** Runs until the pool is terminated. */
export async function openDemo(): Promise<{ pool: AsyncPool; dashboard: Dashboard }> {
  const pool = await AsyncPool.open(WORKERS, { unhandled: "ignore" });
  const dashboard = await pool.dashboard();
  const ends = (error: unknown) => void error;
  const frames = Array.from({ length: 600 }, (_, i) => i);
  void read(pool.map(render, frames, { settled: true, inFlight: 4 })).catch(ends);
  void read(pool.map(measure, endless(), { settled: true, inFlight: 2 })).catch(ends);
  // Maps go first, which leave some workers to the others.
  const retrying = pool.with({ retries: 1, priority: 1 });
  const pairs = Array.from({ length: 140 }, (_, i) => retrying.async(align, i));
  void read(pool.asCompleted(pairs)).catch(ends);
  return { pool, dashboard };
}
