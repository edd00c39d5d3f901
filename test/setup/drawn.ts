/** Tests that are the same under each MPI: the middle lane plays those that the seed draws. */
import { test } from "bun:test";
import { DRAW, drawShare, lane, seed } from "../lane.ts";
import type { Mode } from "../contract/case.ts";
import { type MpiFamily, mpiFamilies } from "./mpi.ts";

type Body = () => void | Promise<unknown>;

/** What is used of the runner's `test`. */
export interface DrawnTest {
  (name: string, body: Body, ms?: number): void;
  concurrent(name: string, body: Body, ms?: number): void;
  readonly each: typeof test.each;
}

/** Of what is the same under each MPI one of so many tests that follow each other is played under either. */
const SHARES_UNDER_MPI = 4;

/**
 * The runner's `test` for what is played in `mode`: all of it locally, and under an MPI one of `shares` tests that
 * follow each other. With the next seed it is the one before it, and so under the other family, too.
 */
export function testsUnder(mode: Mode, shares = SHARES_UNDER_MPI): DrawnTest {
  const isWhole = lane !== "middle" || mode === "local";
  let count = isWhole ? 0 : mpiFamilies().indexOf(mode) + seed;
  const isDrawn = (): boolean => isWhole || count++ % shares === 0;
  const drawn = (name: string, body: Body, ms?: number): void => {
    if (isDrawn()) test(name, body, ms);
  };
  return Object.assign(drawn, {
    concurrent(name: string, body: Body, ms?: number): void {
      if (isDrawn()) test.concurrent(name, body, ms);
    },
    // Its overloads tell rows of arrays from rows of values; a share of the rows is of the same kind.
    each: ((rows: unknown[]) => test.each(rows.filter(isDrawn))) as typeof test.each,
  });
}

/** The MPIs under which a test is played that takes seconds: one, which the seed draws. */
export function drawnFamilies(): MpiFamily[] {
  return drawShare(mpiFamilies(), 0, DRAW, mpiFamilies().length || 1);
}
