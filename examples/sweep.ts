/**
 * A sweep of hyper-parameters: trains a small neural network for each configuration, and writes a
 * line of CSV as each one ends. Configurations take from milliseconds to seconds, and three of them
 * go wrong: one throws, one never ends, and one kills its worker. The sweep goes on.
 *
 *   bun run examples/sweep.ts > sweep.csv
 *   bun run examples/sweep.ts --checkpoint sweep.sqlite > sweep.csv
 *   mpirun -n 4 bun run examples/sweep.ts 5000 --limit 100 > sweep.csv
 *
 * With a checkpoint it can be stopped at any time, as by Ctrl-C: started again, it writes the lines
 * of what it has done before, and trains only the rest.
 */
import { parseArgs } from "node:util";
import { AsyncPool, type Settled } from "../index.ts";
import { generator } from "./random.ts";

const POINTS = 300;
const NOISE = 0.3;
/** Hidden units for which there is no memory. */
const TOO_MANY = 1e6;

export interface Config {
  readonly rate: number;
  readonly hidden: number;
  readonly epochs: number;
  readonly seed: number;
}

export interface Score {
  readonly loss: number;
  readonly accuracy: number;
}

interface Point {
  readonly x: number;
  readonly y: number;
  readonly label: 0 | 1;
}

/** The top level runs again on each worker, so that each has the same points: they are seeded. */
const points = moons(POINTS);

/** Two half moons that reach into each other: the classes to tell apart. */
function moons(count: number): Point[] {
  const random = generator(1, 0);
  const noise = (): number => NOISE * (random() + random() - 1);
  return Array.from({ length: count }, (_, i) => {
    const angle = Math.PI * random();
    const [x, y] = [Math.cos(angle) + noise(), Math.sin(angle) + noise()];
    return i % 2 === 0 ? { x, y, label: 0 } : { x: 1 - x, y: 0.5 - y, label: 1 };
  });
}

/** Trains a network of one hidden layer by stochastic gradient descent. */
export function train({ rate, hidden, epochs, seed }: Config): Score {
  // This is how the kernel ends a process when memory is full.
  if (hidden > TOO_MANY) process.kill(process.pid, "SIGKILL");

  const random = generator(seed, 1);
  const weights = () => Float64Array.from({ length: hidden }, () => 2 * random() - 1);
  const [toX, toY, bias, out] = [weights(), weights(), weights(), weights()];
  const active = new Float64Array(hidden);
  let score: Score = { loss: Infinity, accuracy: 0 };
  for (let epoch = 1; epoch <= epochs; epoch++) {
    let loss = 0;
    let right = 0;
    for (const { x, y, label } of points) {
      let sum = 0;
      for (let i = 0; i < hidden; i++) {
        active[i] = Math.tanh(toX[i]! * x + toY[i]! * y + bias[i]!);
        sum += out[i]! * active[i]!;
      }
      const guess = 1 / (1 + Math.exp(-sum));
      loss -= Math.log(label === 1 ? guess : 1 - guess) / points.length;
      if (guess > 0.5 === (label === 1)) right++;
      const step = rate * (label - guess);
      for (let i = 0; i < hidden; i++) {
        const back = step * out[i]! * (1 - active[i]! ** 2);
        out[i]! += step * active[i]!;
        toX[i]! += back * x;
        toY[i]! += back * y;
        bias[i]! += back;
      }
    }
    if (!Number.isFinite(loss)) throw new RangeError(`diverged in epoch ${epoch}`);
    score = { loss, accuracy: right / points.length };
  }
  return score;
}

/** All that are to be tried, the longest first: so no worker is left with a long one at the end. */
function configurations(epochs: number): Config[] {
  const grid = [64, 16, 4].flatMap((hidden) =>
    [0.3, 0.1, 0.03].flatMap((rate) =>
      [1, 2, 3].map((seed) => ({ rate, hidden, epochs: Math.ceil((epochs * 0.1) / rate), seed })),
    ),
  );
  const wrong = [
    { rate: 0.1, hidden: 8, epochs: Infinity, seed: 1 },
    { rate: 1000, hidden: 8, epochs, seed: 1 },
    { rate: 0.1, hidden: 1e9, epochs, seed: 1 },
  ];
  return [...wrong, ...grid];
}

function row(outcome: Settled<Score, Config>): string {
  const { rate, hidden, epochs, seed } = outcome.item;
  const result =
    outcome.status === "fulfilled"
      ? ["done", outcome.value.loss.toFixed(4), outcome.value.accuracy.toFixed(3), ""]
      : ["failed", "", "", quoted(String(outcome.reason))];
  return [outcome.index, rate, hidden, epochs, seed, ...result].join(",");
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

const USAGE = `usage: bun run examples/sweep.ts [epochs] [--limit seconds] [--checkpoint file]
       epochs: of a learning rate of 0.1, 1 to 1e5; limit: of each configuration`;

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      options: { limit: { type: "string", default: "20" }, checkpoint: { type: "string" } },
      allowPositionals: true,
    });
    const epochs = Number(positionals[0] ?? 1000);
    const limit = Number(values.limit);
    const isRight = Number.isInteger(epochs) && epochs >= 1 && epochs <= 1e5 && limit > 0;
    return isRight ? { epochs, limit, checkpoint: values.checkpoint } : null;
  } catch {
    return null; // an option that is not known
  }
}

async function main(): Promise<void> {
  // Isolated ranks: under MPI, too, a configuration that kills its process costs no more than that.
  await using pool = await AsyncPool.open(undefined, { isolate: true });
  // From here on there is one of us: in an MPI job the other ranks wait for tasks.
  const given = readArguments();
  if (given === null) {
    console.error(USAGE);
    process.exitCode = 2;
    return;
  }

  const { epochs, limit, checkpoint } = given;
  const configs = configurations(epochs);
  const outcomes = pool.map(train, configs, {
    ordered: false, // each as soon as it is there
    settled: true, // a failure is a result as well
    timeout: 1000 * limit,
    ...(checkpoint && { checkpoint }),
  });
  console.log("config,rate,hidden,epochs,seed,status,loss,accuracy,reason");
  let failed = 0;
  for await (const outcome of outcomes) {
    console.log(row(outcome));
    if (outcome.status === "rejected") failed++;
  }
  console.error(`${configs.length} configurations on ${pool.size} workers, ${failed} failed`);
}

if (import.meta.main) await main();
