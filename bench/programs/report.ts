/** What the programs here have in common: how they say what they found, and a few numbers. */

/** A finding is one number, or samples that are to be pooled with those of other rounds. */
export type Findings = Readonly<Record<string, number | readonly number[]>>;

/** One line of JSON, the last that a program prints. */
export function report(findings: Findings): void {
  console.log(JSON.stringify(findings));
}

/** The value below which the share `q` of `numbers` lies. */
export function quantile(numbers: Float64Array | readonly number[], q: number): number {
  const sorted = Float64Array.from(numbers).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

export function median(numbers: Float64Array | readonly number[]): number {
  return quantile(numbers, 0.5);
}

/** Times of `call` in µs, one by one, after a warm-up; as many as go into a bounded time. */
export async function roundTrips(
  call: (i: number) => PromiseLike<unknown>,
  { warm, calls, warmMs = 300, ms = 400 }: Trips,
): Promise<Float64Array> {
  let end = performance.now() + warmMs;
  for (let i = 0; i < warm && performance.now() < end; i++) await call(i);
  const times = new Float64Array(calls);
  let count = 0;
  end = Bun.nanoseconds() + ms * 1e6;
  for (let start = Bun.nanoseconds(); count < calls && start < end; start = Bun.nanoseconds()) {
    await call(count);
    times[count++] = (Bun.nanoseconds() - start) / 1e3;
  }
  return times.subarray(0, count);
}

export interface Trips {
  readonly warm: number;
  readonly calls: number;
  readonly warmMs?: number;
  readonly ms?: number;
}

/** A buffer of 64 MiB whose content is worth a look at the other end. */
export function largeArray(): Float64Array {
  return new Float64Array(8 << 20).map((_, i) => i);
}

/** GB/s each way of `trips` round trips of a large array, their median, after one to warm up. */
export async function bandwidth(
  trip: (data: Float64Array) => PromiseLike<Float64Array>,
  trips: number,
): Promise<number> {
  const data = largeArray();
  const speeds: number[] = [];
  for (let i = 0; i <= trips; i++) {
    const start = Bun.nanoseconds();
    const back = await trip(data);
    const seconds = (Bun.nanoseconds() - start) / 1e9;
    const last = data.length - 1;
    if (back.length !== data.length || back[last] !== data[last]) throw new Error("damaged");
    if (i > 0) speeds.push((2 * data.byteLength) / seconds / 1e9);
  }
  return median(speeds);
}
