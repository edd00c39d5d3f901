/**
 * Feeds every reader of bytes with damaged ones.
 *
 *   bun test/fuzz/run.ts [--count 1000000] [--seed 1] [--target value] [--first 0]
 *
 * The inputs are numbered; each follows from the seed, its target and its number. One that fails is named
 * so that it can be run alone: --seed S --target T --first N --count 1.
 */
import { parseArgs } from "node:util";
import { Random } from "./random.ts";
import { TARGETS } from "./targets.ts";

/** Inputs between two words on stderr. */
const REPORT = 100_000;

/** ms that one input may take. */
const SLOW_MS = 5_000;

export interface Options {
  readonly count: number;
  readonly seed: number;
  readonly target?: string | undefined;
  readonly first?: number;
  readonly report?: (line: string) => void;
}

/** Runs `count` inputs in all; throws at the first that fails, and names it. */
export async function fuzz({ count, seed, target, first = 0, report }: Options): Promise<void> {
  const names = Object.keys(TARGETS);
  for (const [number, name] of names.entries()) {
    if (target !== undefined && name !== target) continue;
    const { share, run } = TARGETS[name]!;
    const inputs = target === undefined ? Math.ceil((count * share) / 1000) : count;
    for (let i = first; i < first + inputs; i++) {
      const start = performance.now();
      try {
        const done = run(new Random(seed, number, i));
        if (done !== undefined) await done;
      } catch (error) {
        const again = `--seed ${seed} --target ${name} --first ${i} --count 1`;
        throw new Error(`an input has gone through; run it alone by ${again}`, { cause: error });
      }
      const ms = performance.now() - start;
      if (ms > SLOW_MS) throw new Error(`input ${i} of ${name} (seed ${seed}) took ${ms} ms`);
      if ((i + 1) % REPORT === 0) report?.(`${name}: ${i + 1} of ${inputs}`);
    }
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      count: { type: "string", default: "1000000" },
      seed: { type: "string", default: "1" },
      target: { type: "string" },
      first: { type: "string", default: "0" },
    },
  });
  const { target } = values;
  if (target !== undefined && !Object.hasOwn(TARGETS, target)) {
    console.error(`no such target: ${target}; there are ${Object.keys(TARGETS).join(", ")}`);
    process.exit(2);
  }
  const [count, seed, first] = [values.count, values.seed, values.first].map(Number);
  const start = performance.now();
  await fuzz({
    count: count!,
    seed: seed!,
    first: first!,
    target,
    report: (line) => console.error(line),
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const { rss } = process.memoryUsage();
  console.log(`${count} inputs in ${seconds} s, ${Math.round(rss / 2 ** 20)} MiB at the end`);
  // A pool that is not closed keeps nothing; a timer that was left would keep the process.
}
