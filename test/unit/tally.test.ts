/** What is counted of one worker: how long it was busy. */
import { expect, test } from "bun:test";
import { Histogram } from "../../src/watch/histogram.ts";
import { Longest } from "../../src/watch/longest.ts";
import { Tally } from "../../src/watch/tally.ts";

const newTally = () => new Tally(new Histogram(), new Histogram(), new Longest());

test("a call that waits for tasks of its own does not keep its worker busy", () => {
  const tally = newTally();
  tally.pause(5, 10);
  tally.resume(5, 40);
  tally.pause(5, 60);
  tally.resume(5, 90);
  // Settled before, or of a map: it is told by its number.
  tally.ran(null, 5, 100_000, 100);
  expect(tally.busyUs).toBe(40_000);
  tally.ran(null, 5, 7_000, 120);
  expect(tally.busyUs).toBe(47_000);
});

test("a call that was given up while it waited takes nothing from the others", () => {
  const tally = newTally();
  tally.ran(null, 1, 3_000, 5);
  tally.pause(2, 10);
  tally.ran(null, 2, 0, 100);
  expect(tally.busyUs).toBe(3_000);
});

test("what a lost process waited for is not its successor's", () => {
  const tally = newTally();
  tally.pause(7, 10);
  tally.replace(0);
  tally.pause(7, 50);
  tally.resume(7, 80);
  tally.ran(null, 7, 40_000, 90);
  expect(tally.busyUs).toBe(10_000);
});
