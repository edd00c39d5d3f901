/**
 * `bsync/mpi` as references/comm.c does it in C: on two ranks a round trip of 8 bytes and the bandwidth
 * of 64 MiB, on more `allreduce` of 1 MiB. On two ranks it tells what a call of C takes from here, too.
 */
import { SUM, world, wtime } from "../../mpi.ts";
import { startMpi } from "../../src/mpi/start.ts";
import { median, report } from "./report.ts";

const TRIPS = 1000;
const BATCHES = 200;
const LARGE_BYTES = 64 << 20;
const LARGE_TRIPS = 9;
const DOUBLES = 1 << 17;
/** Reductions that are timed together: with more ranks than cores a single one takes as many of the kernel's ticks as it happens to. */
const REDUCTIONS = 10;
/** Batches of them, as many as take a second, within bounds. */
const REDUCTION_S = 1;
const FEWEST_BATCHES = 5;
const MOST_BATCHES = 99;

const { rank } = world;

/** Seconds that so many round trips take. */
function trips(buffer: Float64Array, count: number): number {
  const start = wtime();
  for (let i = 0; i < count; i++) {
    if (rank === 0) {
      world.send(buffer, 1, 0);
      world.recv(buffer, 1, 0);
    } else {
      world.recv(buffer, 0, 0);
      world.send(buffer, 0, 0);
    }
  }
  return wtime() - start;
}

/** ns of a call of C that does nothing. */
function callNs(): number {
  const { bsync_comm_error } = startMpi({ initTimeout: 0 }).comm();
  const calls = 100_000;
  const batch = (): number => {
    const start = wtime();
    for (let i = 0; i < calls; i++) bsync_comm_error(-1);
    return ((wtime() - start) / calls) * 1e9;
  };
  return median([1, 2, 3, 4, 5].map(batch));
}

if (world.size === 2) {
  const small = new Float64Array(1);
  trips(small, 20 * TRIPS);
  const us = median(Array.from({ length: BATCHES }, () => trips(small, TRIPS) / TRIPS)) * 1e6;
  const large = new Float64Array(LARGE_BYTES / 8);
  trips(large, 1);
  const seconds = median(Array.from({ length: LARGE_TRIPS }, () => trips(large, 1)));
  if (rank === 0) report({ us, gbps: (2 * LARGE_BYTES) / seconds / 1e9, call: callNs() });
} else {
  const mine = new Float64Array(DOUBLES);
  const sum = new Float64Array(DOUBLES);
  const batch = (): number => {
    world.barrier();
    const start = wtime();
    for (let i = 0; i < REDUCTIONS; i++) world.allreduce(mine, sum, SUM);
    return wtime() - start;
  };
  batch();
  const [seconds = 0] = world.bcast(Float64Array.of(batch()));
  const count = Math.max(FEWEST_BATCHES, Math.min(MOST_BATCHES, Math.floor(REDUCTION_S / seconds)));
  const times = Array.from({ length: count }, batch);
  if (rank === 0) report({ us: (median(times) / REDUCTIONS) * 1e6 });
}
