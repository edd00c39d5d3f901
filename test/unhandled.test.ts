/** Failures that nobody asks for, and a block that is left by one that somebody was told of. */
import { describe, expect } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "./contract/job.ts";
import { REAL_CLOCK } from "./lane.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const PROGRAM = join(import.meta.dir, "contract/fixtures/unasked.ts");
const END_MS = 20_000;
const TEST_MS = 50_000;

type Mode = "warn" | "ignore" | "throw";

/** The lines of bsync's own on stderr, and the exit code. */
async function run(
  launch: Launch,
  deed: string,
  mode: Mode,
): Promise<{ said: string[]; exitCode: number | null }> {
  await using job = new Job(launch, PROGRAM, { args: [deed, mode], env: REAL_CLOCK });
  await job.ended(END_MS);
  await job.leftNothing();
  const said = job.stderr.split("\n").filter((line) => line.startsWith("bsync: "));
  return { said, exitCode: job.process.exitCode };
}

const CURE = 'await the handles, or open the pool with { unhandled: "ignore" }';
const ONE = `bsync: a task has failed, and nobody has asked for its result: `;
const TWO =
  "bsync: 2 tasks have failed, and nobody has asked for their results, the first: task 1 (fail): " +
  `RangeError: bad 1; ${CURE}`;

/** What is done under which option, the line that is to be said, and the exit code. */
const TOLD: readonly (readonly [string, Mode, string | RegExp, number])[] = [
  ["close", "warn", TWO, 0],
  ["close", "throw", TWO, 1],
  ["terminate", "throw", TWO, 1],
  ["end", "warn", TWO, 0],
  ["end", "throw", TWO, 1],
  ["exit", "warn", TWO, 0],
  ["exit", "throw", TWO, 1],
  ["exit with 3", "throw", TWO, 3],
  ["throw", "warn", TWO, 1],
  ["one of two", "throw", `${ONE}task 2 (fail): RangeError: bad 2; ${CURE}`, 1],
  [
    "an argument",
    "warn",
    /a task has failed.* task 1 \(.*\): ValueError: Cannot send args\[0\]/,
    0,
  ],
  ["many", "warn", /^bsync: 500 tasks have failed.*, the first: task \d+ \(fail\): RangeError/, 0],
];

const SILENT = [
  "asked later",
  "asked in each way",
  "asked, and gone",
  "cancelled",
  "terminated for a failure that was told",
];

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().map((mode) => ({ mode, ranks: 3 })),
];

describe.each(launches)("$mode", (launch) => {
  const test = testsUnder(launch.mode);

  for (const [deed, mode, line, exitCode] of TOLD) {
    test(
      `${deed}, ${mode}: stderr is told once, and the exit code is as the option says`,
      async () => {
        const said = typeof line === "string" ? line : expect.stringMatching(line);
        expect(await run(launch, deed, mode)).toEqual({ said: [said], exitCode });
      },
      TEST_MS,
    );
  }

  for (const deed of ["close", "exit"]) {
    test(
      `${deed}, ignore: nothing is said`,
      async () => {
        expect(await run(launch, deed, "ignore")).toEqual({ said: [], exitCode: 0 });
      },
      TEST_MS,
    );
  }

  for (const deed of SILENT) {
    test(
      `${deed}: nothing is said`,
      async () => {
        expect(await run(launch, deed, "throw")).toEqual({ said: [], exitCode: 0 });
      },
      TEST_MS,
    );
  }

  test(
    "a pool that closes after a failure says what it waits for, and how to end it",
    async () => {
      const { said, exitCode } = await run(launch, "a block that is left by an error", "ignore");
      expect(said).toEqual([
        "bsync: the pool is closing, and still waits for 5 tasks (5 of passGate), after task 1 " +
          "(fail): RangeError: bad 1; to end at once, await pool.terminate(); pool.map and pool.all " +
          "cancel the rest by themselves",
      ]);
      expect(exitCode).toBe(0);
    },
    TEST_MS,
  );
});
