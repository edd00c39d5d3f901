/**
 * Calls whose lengths differ, on four workers, all submitted at once: how long they take in all, as a share of
 * what greedy scheduling takes, which gives each worker one call at a time, the next when it has
 * answered. Before each trial the function was short. Calls sleep: four workers need no four cores.
 */
import { AsyncPool } from "../../index.ts";
import { report } from "./report.ts";

const WORKERS = 4;
const TRIALS = 5;
const CALLS = 240;
const LONG_MS = 25;

/** What a worker has met. */
const met = new Set<string>();

/** Takes so many ms; 100 more where `input` is new to its worker. (On a rank both pools have the same one.) */
function work(ms: number, input = ""): number {
  const isNew = input !== "" && !met.has(input);
  met.add(input);
  pass(isNew ? ms + 100 : ms);
  return ms;
}

/** Below a millisecond the clock is looked at, since a sleep takes longer than it is told to. */
function pass(ms: number): void {
  if (ms >= 1) return Bun.sleepSync(ms);
  const end = Bun.nanoseconds() + ms * 1e6;
  while (Bun.nanoseconds() < end);
}

type Call = readonly [ms: number, input?: string];

let state = 1;
function random(): number {
  state = (state * 48_271) % 2_147_483_647;
  return state / 2_147_483_647;
}

let inputs = 0;
const KINDS: Readonly<Record<string, () => Call[]>> = {
  // From 10 µs on, each power of ten as often as the others.
  uneven: () => calls(() => LONG_MS * 2500 ** -random()),
  growing: () => calls((i) => LONG_MS * (i / CALLS) ** 3),
  bimodal: () => calls(() => (random() < 0.1 ? LONG_MS : 0.02)),
  first: () => {
    const input = `input ${++inputs}`;
    return Array.from({ length: CALLS }, () => [1, input]);
  },
};

function calls(length: (i: number) => number): Call[] {
  return Array.from({ length: CALLS }, (_, i) => [length(i)]);
}

await using pool = await AsyncPool.open(WORKERS);
await using other = await AsyncPool.open(WORKERS);

/** ms for all calls, submitted at once. */
async function atOnce(list: readonly Call[]): Promise<number> {
  const start = performance.now();
  await Promise.all(list.map(([ms, input]) => pool.async(work, ms, input)));
  return performance.now() - start;
}

/** ms for all calls, each submitted when a worker is idle. */
async function greedily(list: readonly Call[]): Promise<number> {
  const start = performance.now();
  let next = 0;
  const loop = async () => {
    while (next < list.length) {
      const [ms, input] = list[next++]!;
      await other.async(work, ms, input && `${input} again`);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, loop));
  return performance.now() - start;
}

async function settle(): Promise<void> {
  for (let i = 0; i < 60; i++) await Promise.all([pool.async(work, 0), other.async(work, 0)]);
}

const findings: Record<string, number[]> = {};
for (const [kind, lengths] of Object.entries(KINDS)) {
  const shares: number[] = [];
  for (let i = 0; i < TRIALS; i++) {
    const list = lengths();
    await settle();
    const first = i % 2 === 0 ? atOnce : greedily;
    const ms = await first(list);
    const share = first === atOnce ? ms / (await greedily(list)) : (await atOnce(list)) / ms;
    shares.push(100 * share);
  }
  findings[kind] = shares;
}
report(findings);
