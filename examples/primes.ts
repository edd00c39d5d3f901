/**
 * Counts the primes up to n with a segmented sieve of Eratosthenes. A task is a segment small
 * enough for the cache; each worker computes the primes up to the root of n once, and keeps them.
 *
 *   bun run examples/primes.ts 1e9
 *   mpirun -n 4 bun run examples/primes.ts 1e9
 */
import { AsyncPool } from "../index.ts";

const SEGMENT = 2 ** 20;
const MAX = 1e11;

/** `KNOWN[k]` is the number of primes up to 10^k. */
const KNOWN = [
  0, 4, 25, 168, 1_229, 9_592, 78_498, 664_579, 5_761_455, 50_847_534, 455_052_511, 4_118_054_813,
];

/** The primes up to `n`, by the plain sieve. */
function sieve(n: number): number[] {
  const composite = new Uint8Array(n + 1);
  const primes = [];
  for (let i = 2; i <= n; i++) {
    if (composite[i]) continue;
    primes.push(i);
    for (let j = i * i; j <= n; j += i) composite[j] = 1;
  }
  return primes;
}

// A worker's own, kept from task to task.
let base: { root: number; primes: number[] } = { root: 0, primes: [] };
const composite = new Uint8Array(SEGMENT / 2);

/** Counts the primes from `from`, which is even, to below `to`; `root` is that of the largest. */
export function count(from: number, to: number, root: number): number {
  if (base.root !== root) base = { root, primes: sieve(root) };

  // Only the odd numbers are kept: composite[i] is about from + 2i + 1.
  const odd = composite.subarray(0, Math.floor((to - from) / 2)).fill(0);
  for (const p of base.primes) {
    if (p === 2) continue;
    let first = Math.max(p, Math.ceil(from / p)) * p;
    if (first % 2 === 0) first += p;
    for (let i = (first - from - 1) / 2; i < odd.length; i += p) odd[i] = 1;
  }
  let primes = 0;
  for (let i = 0; i < odd.length; i++) primes += 1 - odd[i]!;
  // At the very beginning 1 was counted and 2 was not, which comes to the same.
  return primes;
}

async function main(n: number): Promise<void> {
  await using pool = await AsyncPool.open();
  // From here on there is one of us: in an MPI job the other ranks wait for tasks.
  if (!Number.isInteger(n) || n < 2 || n > MAX) {
    console.error("usage: bun run examples/primes.ts [n]   (2 to 1e11)");
    process.exitCode = 2;
    return;
  }

  const start = performance.now();
  const root = Math.floor(Math.sqrt(n));
  const segments = [];
  for (let from = 0; from <= n; from += SEGMENT) {
    segments.push(pool.async(count, from, Math.min(from + SEGMENT, n + 1), root));
  }
  const primes = (await Promise.all(segments)).reduce((sum, part) => sum + part, 0);
  const seconds = (performance.now() - start) / 1000;

  console.log(`pi(${n}) = ${primes}`);
  console.log(`${segments.length} segments on ${pool.size} workers, ${seconds.toFixed(3)} s`);
  const known = KNOWN[Math.log10(n)];
  if (known !== undefined && primes !== known) {
    console.error(`wrong: it is ${known}`);
    process.exitCode = 1;
  }
}

if (import.meta.main) await main(Number(process.argv[2] ?? 1e8));
