/**
 * The stress test: calls of random sizes (0 B to 1 MiB) and priorities, some of them cancelled, over four
 * workers. Every byte of every argument and result is checked, and that the memory is given back. One
 * line of JSON says what happened; the exit code is 1 if anything was not as it should be.
 *
 *   bun run test/stress/run.ts [--calls 1000000] [--seed 1]
 *   mpirun -n 5 bun run test/stress/run.ts [--calls 1000000] [--seed 1]
 *
 * The same seed makes the same calls. When an answer comes, and what it is then that is cancelled, is up to
 * the machine.
 */
import { parseArgs } from "node:util";
import { AsyncPool, usingMpi } from "../../index.ts";
import { Calls } from "./calls.ts";
import { heapBytes } from "./work.ts";

const WORKERS = 4;

/** Calls before the memory is looked at for the first time: code, rings and spare memory are made then. */
const WARM_UP = 5_000;

/**
 * Bytes by which a process may have grown: much less than any of the calls' bytes would come to if they stayed,
 * and so is the record of a task, of which there would be 50 MB after 10^6 calls.
 */
const MOST_GROWTH = 4 << 20;

const { values } = parseArgs({
  options: {
    calls: { type: "string", default: "1000000" },
    seed: { type: "string", default: "1" },
  },
});
const count = Number(values.calls);
const seed = Number(values.seed);
if (!Number.isSafeInteger(count) || !Number.isSafeInteger(seed) || count < 1 || seed < 0) {
  console.error("usage: bun run test/stress/run.ts [--calls N] [--seed N]");
  process.exit(2);
}

await using pool = await AsyncPool.open(WORKERS);

/** Heap of the controller, then of each worker. */
async function memory(): Promise<number[]> {
  await Bun.sleep(50);
  heapBytes();
  await Bun.sleep(50);
  return [heapBytes(), ...(await pool.each(heapBytes))];
}

await new Calls(pool, seed + 1).make(WARM_UP);
const before = await memory();
const calls = new Calls(pool, seed);
const start = performance.now();
await calls.make(count);
const seconds = (performance.now() - start) / 1000;
const after = await memory();

const { complaints, wrong, sent, received, ...tally } = calls.tally;
const growth = after.map((bytes, i) => bytes - before[i]!);
const grown = growth.some((bytes) => bytes > MOST_GROWTH);
const settled = tally.done + tally.failed + tally.cancelled;
if (settled !== count) complaints.push(`${settled} calls were settled of ${count}`);
if (grown) complaints.push(`heaps grew by ${growth.join(", ")} bytes: controller, then workers`);
for (const complaint of complaints) console.error(complaint);
const mode = !usingMpi() ? "local" : "OMPI_COMM_WORLD_SIZE" in process.env ? "openmpi" : "mpich";
console.log(
  JSON.stringify({ mode, seed, calls: count, ...tally, wrong, sent, received, seconds, growth }),
);
if (complaints.length > 0) process.exitCode = 1;
