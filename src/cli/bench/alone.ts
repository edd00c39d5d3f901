/** Messages of MPI alone, without the pool: both sides of them. */
import { world } from "../../../mpi.ts";
import type { AsyncPool } from "../../pool.ts";
import { median } from "./median.ts";
import type { Measured } from "./report.ts";

const TAG = 1;

const TRIPS = 2_000;
const LARGE_TRIPS = 4;

/** Between rank 0 and the first worker. */
export async function measureAlone(pool: AsyncPool, bytes: number): Promise<Measured["mpi"]> {
  const roundTripUs = await exchange(pool, TRIPS, 8);
  const large = await exchange(pool, LARGE_TRIPS, bytes);
  return { roundTripUs, bandwidth: (2e6 * bytes) / large };
}

/** On the worker: answers so many messages. */
export function answer(count: number, bytes: number): void {
  const message = new Uint8Array(bytes);
  for (let i = 0; i < count; i++) {
    world.recv(message, 0, TAG);
    world.send(message, 0, TAG);
  }
}

/** The median time of a message there and back, in µs. */
async function exchange(pool: AsyncPool, count: number, bytes: number): Promise<number> {
  const done = pool.with({ worker: 0 }).async(answer, count, bytes);
  // The call leaves before this thread waits for what comes of it.
  await Bun.sleep(1);
  const rank = pool.workers[0]!.rank!;
  const message = new Uint8Array(bytes);
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    world.send(message, rank, TAG);
    world.recv(message, rank, TAG);
    times.push(1e3 * (performance.now() - start));
  }
  await done;
  return median(times);
}
