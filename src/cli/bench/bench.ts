/** `bsync bench`: measures the pool of this machine or job, piece by piece. */
import { mpiJob } from "../../job/environment.ts";
import { AsyncPool } from "../../pool.ts";
import { print } from "../output.ts";
import type { BenchOptions } from "./options.ts";
import { type Measured, reportText, verdict, worthwhile } from "./report.ts";
import { median } from "./median.ts";
import { echo, pass } from "./tasks.ts";

const WARM_UP = 2_000;
const MOST_TRIPS = 20_000;
const BATCH = 10_000;
const ARRAY_BYTES = 64 << 20;
const MOST_ARRAYS = 8;

/** Runs the command; resolves with its exit code. */
export async function bench({ json = false, time: pieceMs }: BenchOptions): Promise<number> {
  const launcher = mpiJob();
  const start = performance.now();
  await using pool = await AsyncPool.open(launcher === null ? 1 : undefined);
  const opened = performance.now();
  await pool.async(pass, 0);
  const firstCall = performance.now();
  const measured: Measured = {
    mode: launcher === null ? "local processes" : launcher.name,
    workers: pool.size,
    openUs: 1e3 * (opened - start),
    firstCallUs: 1e3 * (firstCall - opened),
    roundTripUs: await roundTrip(pool, pieceMs),
    rate: await rateOf(BATCH, pieceMs, () => manyCalls(pool)),
    mapRate: await rateOf(10 * BATCH, pieceMs, () => wholeMap(pool)),
    bandwidth: await bandwidth(pool, pieceMs),
    mpi: launcher === null ? null : await mpiAlone(pool, ARRAY_BYTES),
  };
  if (json) {
    const words = { worthwhile: worthwhile(measured), verdict: verdict(measured) };
    await print(`${JSON.stringify({ ...measured, ...words }, null, 2)}\n`);
  } else await print(reportText(measured));
  return 0;
}

async function roundTrip(pool: AsyncPool, pieceMs: number): Promise<number> {
  const one = pool.with({ worker: 0 });
  for (let i = 0; i < WARM_UP; i++) await one.async(pass, i);
  const times: number[] = [];
  const end = performance.now() + pieceMs;
  while (times.length === 0 || (times.length < MOST_TRIPS && performance.now() < end)) {
    const start = performance.now();
    await one.async(pass, 1);
    times.push(1e3 * (performance.now() - start));
  }
  return median(times);
}

/** `count` of something in each round, by second: the median of rounds. */
async function rateOf(count: number, pieceMs: number, round: () => Promise<void>): Promise<number> {
  const rates: number[] = [];
  await round();
  const end = performance.now() + pieceMs;
  while (rates.length === 0 || performance.now() < end) {
    const start = performance.now();
    await round();
    rates.push((1e3 * count) / (performance.now() - start));
  }
  return median(rates);
}

async function manyCalls(pool: AsyncPool): Promise<void> {
  await Promise.all(Array.from({ length: BATCH }, (_, i) => pool.async(pass, i)));
}

async function wholeMap(pool: AsyncPool): Promise<void> {
  await pool.map(
    pass,
    Array.from({ length: 10 * BATCH }, (_, i) => i),
  );
}

/** Loaded only where there is MPI. */
async function mpiAlone(pool: AsyncPool, bytes: number): Promise<Measured["mpi"]> {
  const { measureAlone } = await import("./alone.ts");
  return await measureAlone(pool, bytes);
}

/** Bytes by second, of an array that goes there and back. */
async function bandwidth(pool: AsyncPool, pieceMs: number): Promise<number> {
  const one = pool.with({ worker: 0 });
  const array = new Float64Array(ARRAY_BYTES / 8);
  const rates: number[] = [];
  const end = performance.now() + pieceMs;
  while (rates.length === 0 || (rates.length < MOST_ARRAYS && performance.now() < end)) {
    const start = performance.now();
    await one.async(echo, array);
    rates.push((2e3 * ARRAY_BYTES) / (performance.now() - start));
  }
  return Math.max(...rates);
}
