/**
 * Which of these numbers are prime? After the first example of mpi4py.futures, which Python's
 * concurrent.futures has, too.
 *
 *   bun run examples/ports/primes.ts 20
 *   mpirun -n 4 bun run examples/ports/primes.ts 20
 *
 * What it was in Python, and what became of it:
 *
 *   if __name__ == '__main__':                 nothing: code below `open` runs once
 *   with MPIPoolExecutor() as executor:        await using pool = await AsyncPool.open()
 *   executor.map(is_prime, PRIMES)             pool.map(isPrime, numbers)
 *   zip(PRIMES, results)                       settled: true, which yields the item, too
 *   mpiexec -n 5 python -m mpi4py.futures …    mpirun -n 5 bun run …
 */
import { AsyncPool } from "../../index.ts";

const FIRST = 100_000_000_000_031;

function isPrime(n: number): boolean {
  if (n < 2) return false;
  if (n % 2 === 0) return n === 2;
  const root = Math.sqrt(n);
  for (let divisor = 3; divisor <= root; divisor += 2) {
    if (n % divisor === 0) return false;
  }
  return true;
}

await using pool = await AsyncPool.open();
const count = Number(process.argv[2] ?? 20);
const numbers = Array.from({ length: count }, (_, i) => FIRST + 2 * i);
for await (const outcome of pool.map(isPrime, numbers, { settled: true })) {
  if (outcome.status === "rejected") throw outcome.reason;
  console.log(`${outcome.item} is ${outcome.value ? "prime" : "not prime"}`);
}
