/**
 * Pools that run in their program's own process: inside of `bun test`, with its mocks; and the subjects of the
 * contract that say nothing of processes, where `BSYNC_INLINE` asks for it.
 */
import { afterEach, describe, expect, mock, spyOn, test } from "bun:test";
import { join } from "node:path";
import { AsyncPool } from "../../index.ts";
import { Job } from "./job.ts";
import type { Line } from "./runner.ts";

const SUBJECTS = [
  "values:",
  "errors:",
  "priorities:",
  "reentering:",
  "waiting for all:",
  "maps: a grid",
  "watching:",
  "reporting:",
  "listening:",
  "tracing:",
  "nesting: a task",
  "nesting: a child",
  "nesting: one worker walks",
  "nesting: values",
  "kept handles: a graph",
  "kept handles: a parent",
  "kept handles: a task",
  "kept handles: one",
  "kept handles: the",
];

describe("mocks of bun:test", () => {
  afterEach(() => {
    mock.restore();
  });

  test("a mock is called, and sees a copy of what was given", async () => {
    await using pool = await AsyncPool.open(2, { inline: true });
    const given = { x: 3 };
    const double = mock(({ x }: { x: number }) => 2 * x);
    expect(await pool.async(double, given)).toBe(6);
    expect(double).toHaveBeenCalledTimes(1);
    expect(double.mock.calls[0]![0]).toEqual(given);
    expect(double.mock.calls[0]![0]).not.toBe(given);
  });

  test("a spy on what a task uses is called, and can answer in its place", async () => {
    await using pool = await AsyncPool.open(1, { inline: true });
    const spy = spyOn(service, "fetch").mockImplementation(async () => "mocked");
    expect(await pool.async(useService)).toBe("mocked");
    expect(spy).toHaveBeenCalledTimes(1);
  });

  test("an expectation within a task fails it", async () => {
    await using pool = await AsyncPool.open(1, { inline: true });
    const failure: unknown = await pool.async(() => expect(1).toBe(2)).catch((error) => error);
    expect(String(failure)).toContain("Expected: 2");
  });
});

const service = { fetch: async () => "real" };

async function useService(): Promise<string> {
  return await service.fetch();
}

test.each([
  ["1", {}, true],
  ["1", { inline: false }, false],
  ["0", {}, false],
  ["0", { inline: true }, true],
])("BSYNC_INLINE=%s, and %j in the code: inline is %s", async (variable, options, isInline) => {
  process.env["BSYNC_INLINE"] = variable;
  try {
    await using pool = await AsyncPool.open(1, options);
    expect((await pool.async(() => process.pid)) === process.pid).toBe(isInline);
  } finally {
    delete process.env["BSYNC_INLINE"];
  }
});

test("the contract holds, where nothing depends on processes", async () => {
  const env = { BSYNC_INLINE: "1" };
  const script = join(import.meta.dir, "run.ts");
  await using job = new Job({ mode: "local", ranks: 1 }, script, { env, args: SUBJECTS });
  await job.endedOrSilent(60_000);
  const lines = job.stdout.split("\n").filter((line) => line.startsWith("{"));
  const failed = lines.map((line) => JSON.parse(line) as Line).filter(({ ok }) => !ok);
  expect(failed).toEqual([]);
  expect(lines.length).toBeGreaterThan(10);
  expect(job.process.exitCode).toBe(0);
}, 120_000);
