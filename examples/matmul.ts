/**
 * The product of two square matrices, in bands of rows: each task gets its band of A, and all use one
 * B, which is sent to each host once and lies in memory that its workers share. The result is checked
 * by Freivalds' test: C x = A (B x) for a random vector x.
 *
 *   bun run examples/matmul.ts 2000
 *   mpirun -n 4 bun run examples/matmul.ts 2000
 */
import { AsyncPool, type Shared } from "../index.ts";
import { generator } from "./random.ts";

const BAND_ROWS = 64;
const MAX_SIDE = 20_000;

/** Rows and columns of B that a worker goes through at a time: they stay in its cache. */
const DEPTH = 64;
const WIDTH = 512;

/** The rows of A that were given, times B; `n` is the side of B. */
export function multiply(rows: Float64Array, b: Float64Array, n: number): Float64Array {
  const count = rows.length / n;
  const product = new Float64Array(rows.length);
  for (let left = 0; left < n; left += WIDTH) {
    const right = Math.min(n, left + WIDTH);
    for (let top = 0; top < n; top += DEPTH) {
      const bottom = Math.min(n, top + DEPTH);
      for (let i = 0; i < count; i++) {
        for (let k = top; k < bottom; k++) {
          const factor = rows[i * n + k]!;
          for (let j = left; j < right; j++) product[i * n + j]! += factor * b[k * n + j]!;
        }
      }
    }
  }
  return product;
}

/** A task: the band has the rows of A from `top` on. */
function multiplyBand(top: number, rows: Float64Array, b: Shared<Float64Array>, n: number) {
  return { top, rows: multiply(rows, b.value, n) };
}

/** A matrix of small whole numbers: sums of their products are exact. */
function randomMatrix(n: number, random: () => number): Float64Array {
  return Float64Array.from({ length: n * n }, () => Math.floor(20 * random()) - 10);
}

function timesVector(matrix: Float64Array, x: Float64Array): Float64Array {
  const n = x.length;
  return x.map((_, i) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += matrix[i * n + j]! * x[j]!;
    return sum;
  });
}

/** Whether C is A B: of wrong ones it finds all but one in a million. */
function isProduct(
  c: Float64Array,
  a: Float64Array,
  b: Float64Array,
  random: () => number,
): boolean {
  const n = Math.sqrt(c.length);
  for (let i = 0; i < 20; i++) {
    const x = Float64Array.from({ length: n }, () => (random() < 0.5 ? -1 : 1));
    const [left, right] = [timesVector(c, x), timesVector(a, timesVector(b, x))];
    if (left.some((value, row) => value !== right[row])) return false;
  }
  return true;
}

async function main(n: number): Promise<void> {
  await using pool = await AsyncPool.open();
  if (!Number.isInteger(n) || n < 1 || n > MAX_SIDE) {
    console.error(`usage: bun run examples/matmul.ts [side]   (1 to ${MAX_SIDE})`);
    process.exitCode = 2;
    return;
  }

  const random = generator(1, 0);
  const [a, b] = [randomMatrix(n, random), randomMatrix(n, random)];
  const start = performance.now();
  using shared = await pool.share(b);
  const sharedAt = performance.now();

  function* bands() {
    for (let top = 0; top < n; top += BAND_ROWS) {
      const rows = a.subarray(top * n, Math.min(n, top + BAND_ROWS) * n);
      yield [top, rows, shared, n] as const;
    }
  }
  const c = new Float64Array(n * n);
  for await (const { top, rows } of pool.starmap(multiplyBand, bands(), { ordered: false })) {
    c.set(rows, top * n);
  }
  const seconds = (performance.now() - start) / 1000;

  const gigaflops = (2 * n ** 3) / seconds / 1e9;
  console.log(`${n} x ${n} on ${pool.size} workers, ${Math.ceil(n / BAND_ROWS)} bands`);
  console.log(
    `${seconds.toFixed(3)} s, ${gigaflops.toFixed(2)} Gflop/s, ` +
      `of which sharing B took ${(sharedAt - start).toFixed(1)} ms`,
  );
  if (isProduct(c, a, b, random)) return console.log("the product is right");
  console.error("wrong: C x is not A (B x)");
  process.exitCode = 1;
}

if (import.meta.main) await main(Number(process.argv[2] ?? 2000));
