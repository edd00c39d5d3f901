/**
 * EP, the "embarrassingly parallel" kernel of the NAS Parallel Benchmarks: pairs of Gaussian
 * deviates by the acceptance-rejection method, counted by annulus, checked against the published
 * sums. A class is 2^m pairs; a task is a block of 2^16, which finds its own place in the sequence
 * of random numbers, so that blocks can be computed anywhere and in any order.
 *
 *   bun run examples/nas-ep.ts W
 *   mpirun -n 4 bun run examples/nas-ep.ts W
 */
import { AsyncPool, usingMpi } from "../index.ts";

/** Size (2^m pairs) and published sums of each class. */
const CLASSES = {
  S: { m: 24, sx: -3.24783465203474e3, sy: -6.958407078382297e3 },
  W: { m: 25, sx: -2.863319731645753e3, sy: -6.320053679109499e3 },
  A: { m: 28, sx: -4.295875165629892e3, sy: -1.580732573678431e4 },
} as const;

export type ClassName = keyof typeof CLASSES;

const BLOCK_PAIRS = 2 ** 16;
const ANNULI = 10;

/** What a block, or the whole run, adds up to. */
export interface Tally {
  sx: number;
  sy: number;
  /** Pairs per annulus: `counts[l]` of them have l <= max(|x|, |y|) < l + 1. */
  counts: number[];
}

// The generator is x' = a x mod 2^46. Numbers of 46 bits are kept as two halves of 23: a product of
// halves is exact in a double, which gives the carry, and its low bits are what Math.imul returns.
const HALF = 2 ** 23;
const PER_HALF = 2 ** -23;
const MASK = HALF - 1;

/** A number below 2^46. */
interface Wide {
  readonly high: number;
  readonly low: number;
}

const wide = (n: number): Wide => ({ high: Math.floor(n / HALF), low: n % HALF });
const A = wide(5 ** 13);
const SEED = wide(271_828_183);

function multiply(a: Wide, x: Wide): Wide {
  const carry = (a.low * x.low * PER_HALF) | 0;
  return {
    high: (Math.imul(a.high, x.low) + Math.imul(a.low, x.high) + carry) & MASK,
    low: Math.imul(a.low, x.low) & MASK,
  };
}

/** `SEED * a^steps mod 2^46`: the generator's state after that many steps. */
function jump(steps: number): Wide {
  let state = SEED;
  for (let power = A, n = steps; n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) state = multiply(power, state);
    power = multiply(power, power);
  }
  return state;
}

/** Fills `out` with the numbers that follow `state`, scaled from (0, 2^46) to (-1, 1). */
function generate(out: Float64Array, { high, low }: Wide): void {
  for (let i = 0; i < out.length; i++) {
    // `multiply` by A, written out: a call for each number would cost more than the number.
    const carry = (A.low * low * PER_HALF) | 0;
    high = (Math.imul(A.high, low) + Math.imul(A.low, high) + carry) & MASK;
    low = Math.imul(A.low, low) & MASK;
    out[i] = (high * HALF + low) * 2 ** -45 - 1;
  }
}

const numbers = new Float64Array(2 * BLOCK_PAIRS);

/** The kernel: the pairs of one block. */
export function block(index: number): Tally {
  generate(numbers, jump(numbers.length * index));
  const counts = new Array<number>(ANNULI).fill(0);
  let sx = 0;
  let sy = 0;
  for (let i = 0; i < numbers.length; i += 2) {
    const u = numbers[i]!;
    const v = numbers[i + 1]!;
    const t = u * u + v * v;
    if (t > 1) continue;
    const scale = Math.sqrt((-2 * Math.log(t)) / t);
    const x = u * scale;
    const y = v * scale;
    counts[Math.max(Math.abs(x), Math.abs(y)) | 0]! += 1;
    sx += x;
    sy += y;
  }
  return { sx, sy, counts };
}

/** Adds tallies up in their order: the last digit does not depend on who computed what. */
export function total(tallies: readonly Tally[]): Tally {
  const sum: Tally = { sx: 0, sy: 0, counts: new Array<number>(ANNULI).fill(0) };
  for (const { sx, sy, counts } of tallies) {
    sum.sx += sx;
    sum.sy += sy;
    counts.forEach((count, l) => (sum.counts[l]! += count));
  }
  return sum;
}

/** Are these the published sums, to eight digits? */
export function verify(name: ClassName, { sx, sy }: Pick<Tally, "sx" | "sy">): boolean {
  const { sx: wantedX, sy: wantedY } = CLASSES[name];
  return Math.abs(sx / wantedX - 1) <= 1e-8 && Math.abs(sy / wantedY - 1) <= 1e-8;
}

async function main(name = "S"): Promise<void> {
  await using pool = await AsyncPool.open();
  // From here on there is one of us: in an MPI job the other ranks wait for tasks.
  if (!isClass(name)) {
    console.error("usage: bun run examples/nas-ep.ts [S | W | A]");
    process.exitCode = 2;
    return;
  }

  const { m } = CLASSES[name];
  const start = performance.now();
  const handles = Array.from({ length: 2 ** m / BLOCK_PAIRS }, (_, k) => pool.async(block, k));
  const sum = total(await Promise.all(handles));
  const seconds = (performance.now() - start) / 1000;
  const verified = verify(name, sum);

  console.log(`EP, class ${name}: 2^${m} pairs in ${handles.length} blocks`);
  console.log(`workers: ${pool.size}, ${usingMpi() ? "ranks of an MPI job" : "local processes"}\n`);
  sum.counts.forEach((count, l) => console.log(`  annulus ${l} ${String(count).padStart(11)}`));
  console.log(`\n  sum of x  ${sum.sx.toExponential(15)}\n  sum of y  ${sum.sy.toExponential(15)}`);
  console.log(`\nVERIFICATION ${verified ? "SUCCESSFUL" : "FAILED"}`);
  console.log(`${seconds.toFixed(3)} s, ${(2 ** (m + 1) / seconds / 1e6).toFixed(1)} Mop/s`);
  if (!verified) process.exitCode = 1;
}

function isClass(name: string): name is ClassName {
  return Object.hasOwn(CLASSES, name);
}

if (import.meta.main) await main(process.argv[2]);
