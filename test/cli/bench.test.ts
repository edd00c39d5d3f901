import { expect, test } from "bun:test";
import { type Measured, reportText, time, worthwhile } from "../../src/cli/bench/report.ts";
import { AS_ROOT, FAMILIES } from "../mpi/launch.ts";
import { bsync, ranks } from "./setup.ts";

const MEASURED: Measured = {
  mode: "Open MPI",
  workers: 3,
  openUs: 120_000,
  firstCallUs: 5_000,
  roundTripUs: 4.4,
  rate: 1_600_000,
  mapRate: 10_000_000,
  bandwidth: 2 ** 30,
  mpi: { roundTripUs: 0.4, bandwidth: 2 ** 31 },
};

test("the report tells what calls should take", () => {
  expect(worthwhile(MEASURED)).toEqual({ callUs: 6.25, itemUs: 1 });
  const text = reportText(MEASURED);
  expect(text).toStartWith("bsync on Open MPI, 3 workers\n  opening the pool  120 ms\n");
  expect(text).toContain("  round trip        4.4 µs   MPI alone: 0.40 µs\n");
  expect(text).toContain("calls of less than 6.3 µs are not worth a message here: use map");
  expect(text).toContain("takes 11 times what MPI's own messages take");
  expect(text).toContain("50 % of MPI's bandwidth");
  expect(reportText({ ...MEASURED, mpi: null })).not.toContain("MPI alone");
  expect([0.1, 12, 345, 6_789, 2e6].map(time)).toEqual([
    "0.10 µs",
    "12 µs",
    "345 µs",
    "6.79 ms",
    "2.00 s",
  ]);
});

const WAYS: [string, string[]][] = [
  ["local", []],
  ...FAMILIES.map((family): [string, string[]] => [family, ranks(family, 2)]),
];

test.each(WAYS)(
  "it measures the pool: %s",
  async (way, before) => {
    const words = ["bench", "--json", "--time", "0.05"];
    const { exitCode, stdout, stderr } = await bsync(words, AS_ROOT, before);
    expect([exitCode, stderr]).toEqual([0, ""]);
    const measured = JSON.parse(Bun.stripANSI(stdout)) as Measured;
    const { mpi, workers, rate, mapRate, bandwidth, roundTripUs } = measured;
    expect(workers).toBe(1);
    expect(Math.min(rate, mapRate, bandwidth, roundTripUs)).toBeGreaterThan(0);
    expect(mpi === null).toBe(way === "local");
  },
  60_000,
);

test("a mistake is told once, and ends all ranks", async () => {
  const { exitCode, stdout, stderr } = await bsync(["bench", "--x"], AS_ROOT, ranks("mpich", 2));
  expect([exitCode, stdout]).toEqual([2, ""]);
  expect(stderr.split("Cannot run").length).toBe(2);
});
