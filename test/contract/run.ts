/**
 * Every case of the contract, one after another in one job, however it was started: so pools open
 * one after another on the same workers. One line of JSON for each case, from rank 0.
 *
 *   bun run run.ts [subject ...]        mpirun -n 4 bun run run.ts [subject ...]
 */
import { AsyncPool, getRank, getSize, usingMpi } from "../../index.ts";
import {
  applies,
  type Case,
  DEFAULT_LIMIT_MS,
  LOCAL_WORKERS,
  type Mode,
  type Place,
} from "./case.ts";
// Registers tasks, which the main script has to know.
import "./fixtures/functions.ts";

/** Cases that hang before the rest is given up. */
const MOST_HANGS = 3;

const OFFSET = 100;

function addOffset(x: number): number {
  return x + OFFSET;
}

async function addLater(x: number): Promise<number> {
  await Promise.resolve();
  return x + OFFSET;
}

/** What a line says. */
export interface Line {
  readonly name: string;
  readonly ok: boolean;
  readonly error?: string;
  readonly ms: number;
}

const stray: unknown[] = [];

async function runCase(place: Place, { name, limit = DEFAULT_LIMIT_MS, run }: Case): Promise<Line> {
  const start = performance.now();
  const line = (error?: string): Line => ({
    name,
    ok: error === undefined,
    ...(error === undefined ? {} : { error }),
    ms: Math.round(performance.now() - start),
  });
  const late = Promise.withResolvers<"late">();
  const timer = setTimeout(() => late.resolve("late"), limit);
  try {
    const first = await Promise.race([(async () => await run(place))(), late.promise]);
    if (first === "late") return line(`hung: it took more than ${limit} ms`);
  } catch (error) {
    return line(error instanceof Error ? (error.stack ?? String(error)) : Bun.inspect(error));
  } finally {
    clearTimeout(timer);
  }
  // A rejection that nobody handles is told at the end of the turn it came in.
  await new Promise((resolve) => setImmediate(resolve));
  const [error] = stray.splice(0);
  return line(error === undefined ? undefined : `unhandled rejection: ${Bun.inspect(error)}`);
}

async function main(subjects: readonly string[]): Promise<void> {
  process.on("unhandledRejection", (error) => stray.push(error ?? "undefined"));
  const mode: Mode = !usingMpi()
    ? "local"
    : "OMPI_COMM_WORLD_SIZE" in process.env
      ? "openmpi"
      : "mpich";
  const workers = usingMpi() ? getSize() - 1 : LOCAL_WORKERS;
  const place: Place = { mode, workers, main: { addOffset, addLater } };
  // Workers load this script for its names, and no more of it than comes before `open`.
  const { CASES } = await import("./cases/all.ts");
  let hangs = 0;
  for (const entry of CASES) {
    if (!applies(entry, mode, workers)) continue;
    if (subjects.length > 0 && !subjects.some((part) => entry.name.includes(part))) continue;
    const line = await runCase(place, entry);
    console.log(JSON.stringify(line));
    if (line.error?.startsWith("hung") && ++hangs === MOST_HANGS) process.exit(1);
  }
}

// The other ranks serve from here on; local workers come no further than this.
const first = await AsyncPool.open();
await first.close();
if (getRank() !== 0) console.log("a rank that serves went on");
await main(process.argv.slice(2));
