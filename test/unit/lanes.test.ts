/** What the lanes play, and what they say of their times. */
import { describe, expect, test } from "bun:test";
import { CASES } from "../contract/cases/all.ts";
import { casesFor } from "../contract/jobs.ts";
import { cellsFor } from "../faults/jobs.ts";
import { type Draw, drawShare, SHARES } from "../lane.ts";
import { mpiFamilies } from "../setup/mpi.ts";
import { grown, longest } from "../setup/times.ts";

/** Draws of the middle lane that follow each other. */
const draws = Array.from({ length: SHARES }, (_, i): Draw => ({ lane: "middle", seed: 41 + i }));
const FULL: Draw = { lane: "full", seed: 41 };

describe("what is drawn", () => {
  test("as many runs as there are shares play all of it, each a share of its own", () => {
    const items = Array.from({ length: 23 }, (_, i) => i);
    const drawn = draws.flatMap((draw) => drawShare(items, 3, draw));
    expect(drawn.toSorted((a, b) => a - b)).toEqual(items);
  });

  for (const mode of mpiFamilies()) {
    for (const kind of [{}, { isolated: true }, { mixed: true }]) {
      test(`${mode}, ${JSON.stringify(kind)}: every cell of the table of faults`, () => {
        const launch = { mode, ranks: 3, ...kind };
        const names = draws.flatMap((draw) => cellsFor(launch, draw)).map(({ name }) => name);
        const all = cellsFor(launch, FULL).map(({ name }) => name);
        expect(names.toSorted()).toEqual(all.toSorted());
      });
    }

    test(`${mode}, 3 ranks: every case of the contract`, () => {
      const launch = { mode, ranks: 3 };
      const names = draws.flatMap((draw) => casesFor(launch, draw)).map(({ name }) => name);
      expect(new Set(names)).toEqual(new Set(CASES.map(({ name }) => name)));
    });

    for (const kind of [{ isolated: true }, { mixed: true }] as const) {
      test(`${mode}, ${JSON.stringify(kind)}: each second run`, () => {
        const counts = draws.map((draw) => casesFor({ mode, ranks: 3, ...kind }, draw).length);
        // Halves of an odd number differ by one.
        const isPlayed = counts.map((count) => count > 0);
        expect(isPlayed).toEqual(draws.map((_, i) => isPlayed[i % 2]!));
        const [first = 0, second = 0] = counts;
        expect(Math.min(first, second)).toBe(0);
        expect(Math.max(first, second)).toBeGreaterThan(30);
      });
    }

    test(`${mode}, isolated: every case that depends on links in ten runs`, () => {
      const launch = { mode, ranks: 3, isolated: true };
      const ten = Array.from({ length: 10 }, (_, i): Draw => ({ lane: "middle", seed: 41 + i }));
      const names = ten.flatMap((draw) => casesFor(launch, draw)).map(({ name }) => name);
      const all = CASES.filter(({ dependsOn }) => dependsOn !== "code").map(({ name }) => name);
      expect(new Set(names)).toEqual(new Set(all));
    });

    test(`${mode}, 2 and 4 ranks: what depends on their number, in turn`, () => {
      const bySize = CASES.filter(({ dependsOn }) => dependsOn === "size");
      for (const draw of draws) {
        const played = [2, 4].map((ranks) => casesFor({ mode, ranks }, draw));
        expect(played).toContainEqual([]);
        expect(played).toContainEqual(bySize);
      }
      const two = draws.map((draw) => casesFor({ mode, ranks: 2 }, draw).length > 0);
      expect(two).toEqual(draws.map((_, i) => two[i % 2]!));
      expect(new Set(two).size).toBe(2);
    });
  }

  test("a case that asks how many workers there are says that it depends on that", () => {
    const askers = CASES.filter(({ dependsOn, run }) => {
      const [parameters = ""] = /\([^)]*\)/.exec(run.toString()) ?? [];
      return dependsOn === "link" && /\bworkers\b/.test(parameters);
    });
    expect(askers.map(({ name }) => name)).toEqual([]);
  });
});

describe("times", () => {
  const before = new Map([
    ["a", 10_000],
    ["b", 10_000],
    ["c", 10_000],
    ["short", 100],
  ]);

  test("the longest come first", () => {
    expect(longest(new Map([...before, ["d", 20_000]]))[0]).toEqual(["d", 20_000]);
  });

  test("a file has grown that took longer than the machine's own speed explains", () => {
    const twice = [...before].map(([file, ms]): [string, number] => [file, 2 * ms]);
    expect(grown(before, new Map(twice))).toEqual([]);
    const now = new Map([...twice, ["b", 31_000], ["short", 1_900], ["new", 50_000]] as const);
    expect(grown(before, now)).toEqual([{ file: "b", from: 20_000, to: 31_000 }]);
  });
});
