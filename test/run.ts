/**
 * Runs the suite in one of its lanes (`lane.ts`), and tells where the time went.
 *
 *   bun test/run.ts [quick|middle|full] [--seed N] [--keep] [FILE ...]      FILE: from here, or from `test/`
 *
 * Without a lane it is the middle one. `--keep` makes this run's times the ones that later runs are compared with.
 */
import { existsSync, statfsSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { LANES } from "./lane.ts";
import { nextSeed } from "./setup/seed.ts";
import { grown, longest, readTimes } from "./setup/times.ts";
import { LANE, SEED } from "./setup/variables.ts";

/** Test files at a time: some wait for clocks and launchers while others keep the cores busy. */
const AT_ONCE = 3;

/**
 * Tests of a file at a time, where they are programs of their own. With as many as the test runner
 * would start, twenty, a worker is kept from its core for so long that it misses what is timed.
 */
const TESTS_AT_ONCE = 6;

/** ms of a test that has no limit of its own. */
const TEST_MS = 60_000;

const MEMORY = "/dev/shm";
/** Bytes that are to be free there. */
const CACHE_ROOM = 2 ** 31;

/** What the quick lane plays: no more than one job of an MPI. */
const QUICK = [
  ...["unit", "codec", "source.test.ts"],
  ...[1, 2, 3, 4].map((part) => `contract/local-${part}.test.ts`),
  "contract/mpich-3.test.ts",
];

const { values, positionals } = parseArgs({
  options: { seed: { type: "string" }, keep: { type: "boolean", default: false } },
  allowPositionals: true,
});

const named = LANES.find((name) => name === positionals[0]);
const lane = named ?? "middle";
const chosen = named === undefined ? positionals : positionals.slice(1);
const seed = values.seed === undefined ? await nextSeed() : Number(values.seed);
if (!Number.isSafeInteger(seed) || seed < 0) {
  console.error(`Cannot draw by --seed ${values.seed}: it must be a whole number`);
  process.exit(2);
}

/** The times that this lane is known to take. */
const kept = join(import.meta.dir, "times", `${lane}.json`);

const folder = await mkdtemp(join(tmpdir(), "bsync-test-run-"));
const times = join(folder, "times.json");
/**
 * Where the runtime keeps the code of modules, once for all programs of a run: half of what most of
 * them do is to load the same ones. In memory, where there is room: each process writes there at its
 * end, and a disk that is slow would keep it alive for seconds.
 */
const cache = await mkdtemp(join(hasRoom(MEMORY) ? MEMORY : tmpdir(), "test-compiled-"));
const compiled = { NODE_COMPILE_CACHE: cache };
try {
  process.exitCode = await run();
} finally {
  for (const path of [folder, cache]) await rm(path, { recursive: true, force: true });
}

/** Whether a file system of memory is there, with more room than the tests and a cache take. */
function hasRoom(path: string): boolean {
  if (!existsSync(path)) return false;
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize > CACHE_ROOM;
}

async function run(): Promise<number> {
  // The longest files start first.
  if (existsSync(kept) && chosen.length === 0) await cp(kept, times);
  const files = chosen.length === 0 && lane === "quick" ? QUICK : chosen;
  console.log(`the ${lane} lane, seed ${seed}`);
  const start = performance.now();
  await using child = Bun.spawn(
    [
      ...[process.execPath, "test", `--parallel=${AT_ONCE}`],
      ...[`--max-concurrency=${TESTS_AT_ONCE}`, `--timeout=${TEST_MS}`],
      ...[
        `--timings=${times}`,
        "--update-timings",
        ...files.map((file) => (file.startsWith("test/") ? file : `test/${file}`)),
      ],
    ],
    {
      cwd: join(import.meta.dir, ".."),
      env: { ...process.env, ...compiled, [LANE]: lane, [SEED]: `${seed}` },
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  const exitCode = await child.exited;
  await tell((performance.now() - start) / 1000);
  if (exitCode !== 0) console.log(`again: bun test/run.ts ${lane} --seed ${seed}`);
  return exitCode;
}

/** Says where the time went, and what has grown. */
async function tell(seconds: number): Promise<void> {
  if (!existsSync(times)) return; // bun test has found nothing to run, and says so
  const now = await readTimes(times);
  const before = existsSync(kept) ? await readTimes(kept) : new Map<string, number>();
  console.log(`\n${seconds.toFixed(0)} s in the ${lane} lane, seed ${seed}; the longest files:`);
  for (const [file, ms] of longest(now)) console.log(`  ${inSeconds(ms)}  ${file}`);
  for (const { file, from, to } of grown(before, now)) {
    console.log(
      `  ${file} has grown: ${inSeconds(to)}, where ${inSeconds(from)} were to be expected`,
    );
  }
  if (values.keep) await cp(times, kept);
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
