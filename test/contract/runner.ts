/** Runs cases in the job this process belongs to: one line of JSON for each, from rank 0. */
import { AsyncPool, getSize, usingMpi } from "../../index.ts";
import {
  applies,
  type Case,
  DEFAULT_LIMIT_MS,
  LOCAL_WORKERS,
  type MainFunctions,
  type Mode,
  type Place,
  workersOf,
} from "./case.ts";

/** Cases that hang before the rest is given up. */
const MOST_HANGS = 3;

/** Set to 1, every pool of an MPI job is isolated. */
export const ISOLATE = "BSYNC_TEST_ISOLATED";

/** Set to 1, the pools of an MPI job are of a rank and a process, where the cases ask for that. */
export const MIX = "BSYNC_TEST_MIXED";

/** Set to `2/4`, the job plays the second of four parts of its cases. */
export const PART = "BSYNC_TEST_PART";

/** What a line says. */
export interface Line {
  readonly name: string;
  readonly ok: boolean;
  readonly error?: string;
  readonly ms: number;
}

/** The job this process belongs to. */
export function placeOf(main: MainFunctions | null): Place {
  const mode: Mode = !usingMpi()
    ? "local"
    : "OMPI_COMM_WORLD_SIZE" in process.env
      ? "openmpi"
      : "mpich";
  const isolated = mode !== "local" && process.env[ISOLATE] === "1";
  const mixed = mode !== "local" && process.env[MIX] === "1";
  const workers = usingMpi() ? getSize() - 1 : LOCAL_WORKERS;
  return { mode, isolated, mixed, workers, main };
}

/**
 * Runs those of `cases` that are for this job, and whose names hold one of `subjects` if there are any:
 * `atOnce` of them at a time, begun in their order.
 */
export async function runCases(
  place: Place,
  cases: readonly Case[],
  subjects: readonly string[],
  atOnce = 1,
): Promise<void> {
  process.on("unhandledRejection", (error) => stray.push(error ?? "undefined"));
  if (place.isolated) isolateAllPools();
  const die = place.mode === "local" || place.isolated || place.mixed;
  const wanted = cases.filter(
    (entry) =>
      applies(entry, place.mode, place.workers, die) &&
      // With `inline` there is one process, the program's, whatever workers are.
      (process.env["BSYNC_INLINE"] !== "1" || entry.processes === undefined) &&
      (subjects.length === 0 || subjects.some((part) => entry.name.includes(part))),
  );
  const next = wanted.values();
  let hangs = 0;
  const work = async () => {
    for (const entry of next) {
      const line = await runCase(place, entry);
      console.log(JSON.stringify(line));
      if (line.error?.startsWith("hung") && ++hangs === MOST_HANGS) process.exit(1);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** Those that are opened from now on, and do not say otherwise. */
function isolateAllPools(): void {
  const open = AsyncPool.open.bind(AsyncPool);
  AsyncPool.open = (workers, options) => {
    const isObject = typeof options === "object" && options !== null;
    if (options !== undefined && !isObject) return open(workers, options);
    const all = { isolate: true, ...options };
    // What is inherited has to stay so.
    if (isObject) Object.setPrototypeOf(all, Object.getPrototypeOf(options));
    return open(workers, all);
  };
}

/** Those that are opened from now on with a number of workers: of processes and ranks. */
export function mixAllPools(place: Place): void {
  const open = AsyncPool.open.bind(AsyncPool);
  AsyncPool.open = (workers, options) => {
    const isCount =
      Number.isInteger(workers) && (workers as number) > 0 && (workers as number) <= place.workers;
    return open(isCount ? workersOf(place, workers as number) : workers, options);
  };
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
    return line(error instanceof Error ? String(error.stack ?? error) : Bun.inspect(error));
  } finally {
    clearTimeout(timer);
  }
  // A rejection that nobody handles is told at the end of the turn it came in.
  await new Promise((resolve) => setImmediate(resolve));
  const [error] = stray.splice(0);
  return line(error === undefined ? undefined : `unhandled rejection: ${Bun.inspect(error)}`);
}
