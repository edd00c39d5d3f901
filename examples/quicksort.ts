/**
 * Quicksort: a task splits its numbers around a pivot, and submits a task for either side, down to
 * parts that are sorted at once.
 *
 *   bun run examples/quicksort.ts
 *   mpirun -n 4 bun run examples/quicksort.ts 1e6
 */
import { AsyncPool, taskContext } from "../index.ts";
import { generator } from "./random.ts";

const MAX = 1e8;
/** A part of so many numbers is sorted in about as long as it takes to send it on. */
const PART = 100_000;

/** The median of three numbers. */
function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}

/** The numbers in their order. */
export async function quicksort(numbers: Float64Array, part = PART): Promise<Float64Array> {
  const { length } = numbers;
  if (length <= part) return numbers.sort();
  const pivot = median(numbers[0]!, numbers[length >> 1]!, numbers[length - 1]!);
  let [low, same, high] = [0, 0, length];
  // Those before `low` are less, those from `high` on are greater.
  while (same < high) {
    const number = numbers[same]!;
    if (number < pivot) {
      numbers[same++] = numbers[low]!;
      numbers[low++] = number;
    } else if (number > pivot) {
      numbers[same] = numbers[--high]!;
      numbers[high] = number;
    } else same++;
  }
  // Numbers that are all equal, or none.
  const sides = [numbers.slice(0, low), numbers.slice(high)];
  const { pool } = taskContext();
  const [less, greater] = await Promise.all(sides.map((side) => pool.async(quicksort, side, part)));
  numbers.set(less!, 0);
  numbers.set(greater!, high);
  return numbers;
}

async function main(count: number): Promise<void> {
  await using pool = await AsyncPool.open();
  // From here on there is one of us: in an MPI job the other ranks wait for tasks.
  if (!Number.isInteger(count) || count < 0 || count > MAX) {
    console.error("usage: bun run examples/quicksort.ts [count]   (0 to 1e8)");
    process.exitCode = 2;
    return;
  }
  const random = generator(1, 0);
  const numbers = Float64Array.from({ length: count }, random);
  const start = performance.now();
  const sorted = await pool.async(quicksort, numbers);
  const seconds = (performance.now() - start) / 1000;
  const isSorted = sorted.every((number, i) => i === 0 || sorted[i - 1]! <= number);
  const sum = (all: Float64Array) => all.toSorted().reduce((sum, number) => sum + number, 0);
  const isWhole = sorted.length === count && sum(sorted) === sum(numbers);
  console.log(`${count} numbers ${isSorted && isWhole ? "in order" : "NOT IN ORDER"}`);
  console.log(`${pool.size} workers, ${seconds.toFixed(3)} s`);
  process.exitCode = isSorted && isWhole ? 0 : 1;
}

if (import.meta.main) await main(Number(process.argv[2] ?? 1e6));
