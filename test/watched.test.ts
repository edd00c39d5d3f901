/** What a program shows of its pools: summaries, progress, traces. */
import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./contract/assert.ts";
import { readTrace } from "./traces/reader.ts";
import { Job, type Launch } from "./contract/job.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";
import { Lines, Rate } from "../src/watch/progress.ts";
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

class Folder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), "watched-"));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
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
      expect(stderr).toContain("5 with other messages");
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

describe.each(launches)("traces, $mode", (launch) => {
  const test = testsUnder(launch.mode);

  test(
    "BSYNC_TRACE=path: all of the pool, gzipped where it ends in .gz",
    async () => {
      for (const name of ["trace.json", "trace.json.gz"]) {
        using folder = new Folder();
        const path = join(folder.path, name);
        await run(launch, [], { BSYNC_TRACE: path });
        const { slices, isComplete, threads } = readTrace(path);
        expect(isComplete).toBeTrue();
        const states = slices.map(({ args }) => args["state"] ?? "done");
        expect(states.filter((state) => state === "failed")).toHaveLength(10);
        const count = slices.reduce((sum, { args }) => sum + ((args["tasks"] as number) ?? 1), 0);
        expect(count).toBe(100);
        expect([...threads.values()].filter((row) => row.startsWith("worker "))).toHaveLength(2);
      }
    },
    TEST_MS,
  );

  test(
    "a path that cannot be written is told, and the program runs",
    async () => {
      const { stdout, stderr } = await run(launch, [], { BSYNC_TRACE: "/no/such/trace.json" });
      expect(stdout.trim()).toBe("90");
      expect(stderr).toMatch(/^bsync: Cannot write a trace: ENOENT.*trace\.json.*\r?\n$/);
    },
    TEST_MS,
  );

  test(
    "a program that was killed leaves a file that opens",
    async () => {
      using folder = new Folder();
      for (const name of ["trace.json", "trace.json.gz"]) {
        const path = join(folder.path, name);
        await using job = new Job(launch, PROGRAM, {
          args: ["endless"],
          env: { BSYNC_TRACE: path },
        });
        await until("some of it is written", () => existsSync(path) && statSync(path).size > 2_000);
        const pid = Number(/pid (\d+)/.exec(job.stdout)![1]);
        process.kill(pid, "SIGKILL");
        await job.ended(END_MS);
        const { slices, isComplete } = readTrace(path);
        expect(isComplete).toBeFalse();
        expect(slices.length).toBeGreaterThan(3);
      }
    },
    TEST_MS,
  );
});

describe.each(launches)("progress, $mode", (launch) => {
  const test = testsUnder(launch.mode);

  test(
    "is whole lines where there is no terminal: of a short map the last one",
    async () => {
      for (const [what, label] of [
        ["map", "checking"],
        ["named", "check"],
        ["pool", "tasks"],
      ] as const) {
        const { stderr } = await run(launch, [what], {});
        const line = new RegExp(
          `^${label}: 100 of 100 \\(100 %\\) in [\\d.]+ (ms|s), [\\d,]+/s, 10 failed\r?\n$`,
        );
        expect(stderr).toMatch(line);
      }
    },
    TEST_MS,
  );
});

test(
  "a stream that throws is told of as any callback that does, and the map goes on",
  async () => {
    const { stdout, stderr } = await run({ mode: "local", ranks: 1 }, ["broken"], {});
    expect(stdout.trim()).toBe("90");
    expect(stderr).toMatch(/^(uncaught: no room\n)+$/);
  },
  TEST_MS,
);

test(
  "progress on a terminal is a bar that is drawn over, and a last line",
  async () => {
    const command = `${process.execPath} ${PROGRAM} map`;
    await using child = Bun.spawn(["script", "-qefc", command, "/dev/null"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { ...process.env, TERM: "xterm", COLUMNS: "100" },
    });
    const shown = await child.stdout.text();
    expect(await child.exited).toBe(0);
    expect(shown).toMatch(/^\rchecking ░+ 0 of 100 \(0 %\), 0\/s/);
    expect(shown).toMatch(/\rchecking: 100 of 100 \(100 %\) in .*, 10 failed\u001b\[K\r?\n/);
    expect(shown.endsWith("90\r\n")).toBeTrue();
  },
  TEST_MS,
);

test("lines come at 1, 2, 5, 10 % …, at least once a minute, at most once in ten seconds", () => {
  const lines = new Lines(0);
  const said: [second: number, percent: number][] = [];
  // A percent each 7 seconds up to 20, then each 100.
  for (let second = 1; second <= 1_000; second++) {
    const done = second <= 140 ? Math.floor(second / 7) : 20 + Math.floor((second - 140) / 100);
    if (lines.isDue({ done, failed: 0, total: 100 }, second * 1_000)) said.push([second, done]);
  }
  expect(said.slice(0, 5)).toEqual([
    [10, 1],
    [20, 2],
    [35, 5],
    [70, 10],
    [130, 18],
  ]);
  const gaps = said.slice(1).map(([second], i) => second - said[i]![0]);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(10);
  expect(Math.max(...gaps)).toBeLessThanOrEqual(60);
  const unknown = new Lines(0);
  expect(
    [9, 30, 60, 61, 120].map((s) => unknown.isDue({ done: s, failed: 0, total: null }, s * 1e3)),
  ).toEqual([false, false, true, false, true]);
});

test("the rate is that of the last minute", () => {
  const rate = new Rate(0, 0);
  for (let second = 1; second <= 100; second++) rate.sample(second * 1_000, second * 10);
  for (let second = 101; second <= 160; second++) rate.sample(second * 1_000, 1_000 + second - 100);
  expect(rate.at(160_000, 1_060)).toBeCloseTo(1, 5);
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
