/**
 * Errors that nobody catches are the program's: each program runs twice, with a pool and without, says the same, and
 * ends with the same.
 */
import { describe, expect } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "./contract/job.ts";
import { DRAW, drawOne, drawShare, lane, REAL_CLOCK } from "./lane.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const FOLDER = join(import.meta.dir, "contract/fixtures");
const END_MS = 20_000;
const TEST_MS = 60_000;

const LOCAL: Launch = { mode: "local", ranks: 1 };
const launches: Launch[] = [LOCAL, ...mpiFamilies().map((mode) => ({ mode, ranks: 3 }))];

/** What comes, and what the program does about it. What it says after that does not depend on the clock. */
const ROWS: readonly (readonly [deed: string, handlers: string, flag?: string])[] = [
  ["timer", "none"],
  ["rejection", "none"],
  ["late rejection", "none"],
  ["no error", "none"],
  ["nothing", "none"],
  ["process.exit", "none"],
  ["immediate", "exception"],
  ["rejection", "exception"],
  ["microtask", "rejection"],
  ["async function", "rejection"],
  ["tick", "monitor"],
  ["late rejection", "monitor"],
  ["timer", "capture"],
  ["rejection", "capture"],
  ["timer", "throwing handler"],
  ["async function", "throwing handler"],
  ["timer", "a reporter that counts"],
  ["late rejection", "a reporter that lists"],
  ["timer", "once, with a flush"],
  ["two of them", "once, for a rejection"],
  ["late rejection", "once, before others"],
  ["rejection", "exit in exit"],
  ["timer", "code in exit"],
  ["late rejection", "code in exit"],
  ["nothing", "error in exit"],
  ["late rejection", "a code"],
  ["nothing", "a code"],
  ["timer", "all removed"],
  ["rejection", "all removed"],
  ["late rejection", "none", "strict"],
  ["late rejection", "exception", "strict"],
  ["late rejection", "rejection", "strict"],
  ["late rejection", "none", "throw"],
  ["rejection", "exception", "throw"],
  ["late rejection", "none", "warn"],
  ["rejection", "warnings", "warn"],
  ["late rejection", "none", "none"],
  ["two of them", "rejection", "none"],
  ["late rejection", "none", "warn-with-error-code"],
];

/** Launchers make something of their own of signals. */
const SIGNAL_ROWS: readonly (readonly [deed: string, handlers: string])[] = [
  ["SIGTERM", "none"],
  ["SIGINT", "none"],
  ["SIGTERM", "one for the signal"],
  ["SIGTERM", "one that hands signals on"],
  ["SIGINT", "one that hands signals on"],
];

/** What its pool is when the error comes. */
const STATES = ["opening", "open", "closed"];

const TASKS = "stray-tasks.ts";

/** What is told of each, up to the place of which an editor can make something. */
const STRAYS = [
  RegExp(`in what task 1 \\(leave\\) has begun: TypeError: of a timer\n.*[ (]/.*/${TASKS}:22:\\d+`),
  /(while|after) .*task 3 \(leave\).*: RangeError: of a promise/,
  /(while|after) .*task 5 \(leave\).*: RangeError: of a function/,
  /worker 0 \(.*pid \d+\): .* task 7 \(leave\).*: \{/,
  /in what task 9 \(leave\) has begun: Error: of a timer\n.*\ncaused by Error: the cause/,
  /in what task 11 \(leave\) has begun: Error: hidden/,
  /in what task 13 \(.*\) has begun: Error: of an inline function 1\n.*stray\.ts:24:\d+/,
];

interface Run {
  readonly exitCode: number | null;
  readonly signal: string | number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(launch: Launch, script: string, args: string[], flag?: string): Promise<Run> {
  const flags = flag === undefined ? [] : [`--unhandled-rejections=${flag}`];
  await using job = new Job(launch, join(FOLDER, script), { args, flags, env: REAL_CLOCK });
  await job.ended(END_MS);
  await job.leftNothing();
  const { stdout } = job;
  const stderr = job.stderr.replaceAll("\r", "");
  const { exitCode, signalCode } = job.process;
  return { exitCode, signal: signalCode, stdout: stdout.replaceAll("\r", ""), stderr };
}

/** Without what differs each time; and without all on standard error where a launcher has its own to say. */
function comparable(run: Run, saysMore: boolean): Run {
  // The engine gives frames without a name now this way, now that, or not at all.
  const stderr = run.stderr
    .replaceAll(/\(node:\d+\)/g, "(node)")
    .replaceAll(/^ +at (<anonymous> \(.*\)|\/.*)\n/gm, "");
  return { ...run, stderr: saysMore ? "" : stderr };
}

for (const launch of launches) {
  const { mode } = launch;
  const test = testsUnder(mode);

  describe(`errors that nobody catches, ${mode}`, () => {
    // Locally every second one: with the next seed the others.
    const rows = mode === "local" ? drawShare([...ROWS, ...SIGNAL_ROWS], 0, DRAW, 2) : ROWS;
    for (const [deed, handlers, flag] of rows) {
      const states = lane === "full" ? STATES : [drawOne(STATES)];
      for (const state of states) {
        const under = flag === undefined ? "" : `, --unhandled-rejections=${flag}`;
        test.concurrent(
          `${deed}, ${handlers}${under}: as without a pool, which is ${state}`,
          async () => {
            const without = state === "opening" ? "waiting" : "none";
            const rest = [deed, handlers, "awaits"];
            const [expected, found] = await Promise.all([
              run(LOCAL, "uncaught.ts", [without, ...rest], flag),
              run(launch, "uncaught.ts", [state, ...rest], flag),
            ]);
            // Launchers have their own to say.
            const saysMore = mode !== "local";
            expect(comparable(found, saysMore), found.stderr).toEqual(
              comparable(expected, saysMore),
            );
          },
          TEST_MS,
        );
      }
    }

    const isolated = mode === "local" ? ["plain"] : ["plain", "isolated"];
    for (const how of isolated) {
      test.concurrent(
        `what tasks leave behind is told with worker, task and place, ${how}`,
        async () => {
          const { exitCode, stdout, stderr } = await run(launch, "stray.ts", ["nothing", how]);
          expect({ exitCode, told: JSON.parse(stdout) }).toEqual({
            exitCode: 0,
            told: { told: [], counts: [0, 0, 0, 0, 0] },
          });
          for (const part of STRAYS) expect(stderr).toMatch(part);
          expect(stderr.match(/an error that nobody caught/g)).toHaveLength(STRAYS.length);
        },
        TEST_MS,
      );

      test.concurrent(
        `what tasks leave behind is for the handlers that are there, ${how}`,
        async () => {
          const { exitCode, stdout, stderr } = await run(launch, "stray.ts", ["handlers", how]);
          expect({ exitCode, told: JSON.parse(stdout) }).toEqual({
            exitCode: 0,
            told: {
              told: [
                "uncaughtException: TypeError: of a timer",
                "once: RangeError: of a promise",
                "uncaughtException: Error: of a timer",
                "uncaughtException: Error: hidden",
              ],
              counts: [1, 0, 0, 0, 0],
            },
          });
          // Nobody listens any more who has listened once.
          expect(stderr.match(/an error that nobody caught/g)).toHaveLength(2);
        },
        TEST_MS,
      );
    }
  });
}
