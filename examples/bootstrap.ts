/**
 * The bootstrap: how far can a correlation be trusted that was found in a sample? Thousands of
 * samples are drawn from the one that there is, and the spread of their correlations is the answer.
 * Each of them draws from a random stream of its own: the digest of all results is the same on any
 * number of workers, in whatever order they run.
 *
 *   bun run examples/bootstrap.ts 1e5
 *   mpirun -n 4 bun run examples/bootstrap.ts 1e5
 */
import { AsyncPool } from "../index.ts";
import { generator } from "./random.ts";

const SIZE = 200;
const CORRELATION = 0.6;
const MAX = 1e7;

interface Sample {
  readonly x: Float64Array;
  readonly y: Float64Array;
}

/** Measured, as it were: the same on each worker, since the top level runs there, too. */
const measured = measure();

function measure(): Sample {
  const random = generator(2, 0);
  /** Nearly normal: the sum of twelve. */
  const normal = (): number => Array.from({ length: 12 }, random).reduce((a, b) => a + b) - 6;
  const x = Float64Array.from({ length: SIZE }, normal);
  const rest = Math.sqrt(1 - CORRELATION ** 2);
  return { x, y: x.map((value) => CORRELATION * value + rest * normal()) };
}

/** Pearson's correlation of the measured pairs at these places. */
function correlation(places: Uint32Array): number {
  const sum = { x: 0, y: 0, xx: 0, yy: 0, xy: 0 };
  for (const place of places) {
    const x = measured.x[place]!;
    const y = measured.y[place]!;
    sum.x += x;
    sum.y += y;
    sum.xx += x * x;
    sum.yy += y * y;
    sum.xy += x * y;
  }
  const n = places.length;
  const [xx, yy] = [n * sum.xx - sum.x ** 2, n * sum.yy - sum.y ** 2];
  return (n * sum.xy - sum.x * sum.y) / Math.sqrt(xx * yy);
}

/** The correlation of a sample of the same size, drawn with replacement. */
export function replicate({ seed, stream }: { seed: number; stream: number }): number {
  const random = generator(seed, stream);
  return correlation(Uint32Array.from({ length: SIZE }, () => Math.floor(SIZE * random())));
}

function* replicates(count: number, seed: number) {
  for (let stream = 0; stream < count; stream++) yield { seed, stream };
}

async function main(count: number, seed: number): Promise<void> {
  await using pool = await AsyncPool.open();
  // From here on there is one of us: in an MPI job the other ranks wait for tasks.
  if (![count, seed].every(Number.isInteger) || count < 40 || count > MAX) {
    console.error("usage: bun run examples/bootstrap.ts [samples [seed]]   (40 to 1e7 samples)");
    process.exitCode = 2;
    return;
  }

  const start = performance.now();
  const found = Float64Array.from(await pool.map(replicate, replicates(count, seed)));
  const seconds = (performance.now() - start) / 1000;

  const digest = Bun.SHA256.hash(found, "hex").slice(0, 16);
  const sorted = found.toSorted();
  const [low, high] = [0.025, 0.975].map((part) => sorted[Math.floor(part * count)]!.toFixed(4));
  const whole = correlation(Uint32Array.from({ length: SIZE }, (_, i) => i));
  console.log(`correlation ${whole.toFixed(4)}, 95 % between ${low} and ${high}`);
  console.log(`${count} samples of seed ${seed}, digest ${digest}`);
  console.log(`${pool.size} workers, ${seconds.toFixed(3)} s`);
}

if (import.meta.main) {
  const [count = "20000", seed = "1"] = process.argv.slice(2);
  await main(Number(count), Number(seed));
}
