/** What a program shows of its pools: summaries, progress, traces. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { Job, type Launch } from "./contract/job.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";
import { bytesOf, clockOf, countOf, lengthOf, percentOf } from "../src/watch/lengths.ts";

const PROGRAM = join(import.meta.dir, "contract/fixtures/watched.ts");
const END_MS = 20_000;
const TEST_MS = 50_000;

interface Shown {
  readonly stdout: string;
  readonly stderr: string;
}

async function run(launch: Launch, args: string[], env: Record<string, string>): Promise<Shown> {
  await using job = new Job(launch, PROGRAM, { args, env });
  await job.ended(END_MS);
  await job.leftNothing();
  expect(job.process.exitCode).toBe(0);
  return { stdout: job.stdout, stderr: job.stderr };
}

const launches: Launch[] = [
  { mode: "local", ranks: 1 },
  ...mpiFamilies().map((mode) => ({ mode, ranks: 3 })),
];

describe.each(launches)("$mode", (launch) => {
  const test = testsUnder(launch.mode);

  test(
    "BSYNC_SUMMARY=1: a summary on stderr when the pool closes, once",
    async () => {
      const { stdout, stderr } = await run(launch, [], { BSYNC_SUMMARY: "1" });
      expect(stdout.trim()).toBe("90");
      expect(stderr.match(/summary of the pool/g)).toHaveLength(1);
      expect(stderr).toMatch(/State: +CLOSED/);
      expect(stderr).toMatch(/Workers: +2 on 1 host/);
      expect(stderr).toMatch(/Tasks: +90 done, 10 failed, 0 cancelled/);
      expect(stderr).toMatch(/Failures: +1 × RangeError: no \d+/);
      expect(stderr).toMatch(/5 with other messages|1 × RangeError/);
    },
    TEST_MS,
  );

  test(
    "without it nothing is said",
    async () => {
      const { stderr } = await run(launch, [], { BSYNC_SUMMARY: "0" });
      expect(stderr).toBe("");
    },
    TEST_MS,
  );
});

test("lengths, counts and sizes as a person reads them", () => {
  expect([0, 0.0123, 0.9, 3.14159, 250, 12_345, 59_999, 3_723_000].map(lengthOf)).toEqual([
    ...["0 ms", "12.3 µs", "900 µs", "3.14 ms", "250 ms", "12.3 s", "0:01:00", "1:02:03"],
  ]);
  expect([0, 999, 3_600_000 * 100].map(clockOf)).toEqual(["0:00:00", "0:00:01", "100:00:00"]);
  expect([0, 999, 1_000, 1_234_567].map(countOf)).toEqual(["0", "999", "1,000", "1,234,567"]);
  expect([0, 999, 61_400_000, 1.5e9].map(bytesOf)).toEqual([
    ...["0 bytes", "999 bytes", "61.4 MB", "1.50 GB"],
  ]);
  expect(percentOf(0.9337)).toBe("93.4 %");
});
