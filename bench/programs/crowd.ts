/**
 * Sixteen workers, whatever the number of cores: tasks of 1 ms, beside as many busy processes as
 * there are cores that do the same tasks without a pool, in turn; and what an empty call costs.
 */
import { cpus } from "node:os";
import { AsyncPool, usingMpi } from "../../index.ts";
import { report } from "./report.ts";
import { stepsPerMs, toil } from "./work.ts";

const WORKERS = 16;
const ROUNDS = 5;
const ROUND_MS = 200;
const CALLS = 100_000;

function same(x: number): number {
  return x;
}

await using pool = await AsyncPool.open(usingMpi() ? undefined : WORKERS);
if (pool.size !== WORKERS) throw new Error(`${pool.size} workers instead of ${WORKERS}`);

// Not what this process is bound to: the ranks together have the whole machine.
const cores = cpus().length;
// They are no part of the job, and must not speak on its connections.
const env = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(OMPI|PMI|PMIX|HYDI|MPI|PRTE)/.test(name)),
);
const answers: ((rate: number) => void)[] = [];
const busy = Array.from({ length: cores }, (_, i) =>
  Bun.spawn([process.execPath, "--no-orphans", `${import.meta.dir}/../references/busy.ts`], {
    env,
    stdio: ["ignore", "ignore", "inherit"],
    ipc: (rate) => answers[i]?.(Number(rate)),
  }),
);

/** Tasks per second of all the busy processes together. */
async function withoutPool(steps: number, ms: number): Promise<number> {
  const rates = await Promise.all(
    busy.map((child, i) => {
      const { promise, resolve } = Promise.withResolvers<number>();
      answers[i] = resolve;
      child.send([steps, ms]);
      return promise;
    }),
  );
  return rates.reduce((sum, rate) => sum + rate, 0);
}

/** Tasks per second of the pool: as many as fill the time on all cores. */
async function withPool(steps: number, ms: number): Promise<number> {
  const count = Math.round(ms * cores);
  const start = performance.now();
  const handles = Array.from({ length: count }, () => pool.async(toil, steps));
  for (const handle of handles) await handle.get();
  return (count / (performance.now() - start)) * 1e3;
}

async function empty(): Promise<number> {
  const start = performance.now();
  const handles = Array.from({ length: CALLS }, (_, i) => pool.async(same, i));
  for (const handle of handles) await handle.get();
  return ((performance.now() - start) * 1e3) / CALLS;
}

const steps = stepsPerMs();
// All sides have to be compiled: sixteen workers on few cores take a while for that.
await withoutPool(steps, ROUND_MS);
await withPool(steps, 2 * ROUND_MS);
await empty();
const efficiency: number[] = [];
const us: number[] = [];
for (let i = 0; i < ROUNDS; i++) {
  const reference = await withoutPool(steps, ROUND_MS);
  efficiency.push(((await withPool(steps, ROUND_MS)) / reference) * 100);
  us.push(await empty());
}
for (const child of busy) child.kill();
report({ efficiency, us });
