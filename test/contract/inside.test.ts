/** The contract over local processes inside of `bun test` itself, where the main script is a test file. */
import { describe, expect, test } from "bun:test";
import { AsyncPool } from "../../index.ts";
import { applies, DEFAULT_LIMIT_MS, LOCAL_WORKERS, type Place } from "./case.ts";
import { DRAW, drawShare } from "../lane.ts";
import { CASES } from "./cases/all.ts";

describe("inside of bun test", () => {
  const place: Place = {
    mode: "local",
    isolated: false,
    mixed: false,
    workers: LOCAL_WORKERS,
    main: null,
  };
  const subjects = /^(calling|functions|errors|handles|priorities):/;
  const played = CASES.filter(
    (entry) => applies(entry, "local", LOCAL_WORKERS) && !entry.main && subjects.test(entry.name),
  );
  for (const entry of drawShare(played, 0, DRAW, 2)) {
    test(entry.name, async () => await entry.run(place), entry.limit ?? DEFAULT_LIMIT_MS);
  }

  test("functions of a test file travel: top-level, inline, by name", async () => {
    await using pool = await AsyncPool.open(1);
    expect(await pool.async(topLevel, 3)).toBe(9);
    expect(await pool.async((x: number) => topLevel(x) + FACTOR, 3)).toBe(12);
  });
});

const FACTOR = 3;

function topLevel(x: number): number {
  return x * FACTOR;
}
