/**
 * Every case of the contract, one after another in one job, however it was started: so pools open
 * one after another on the same workers. One line of JSON for each case, from rank 0.
 *
 *   bun run run.ts [subject ...]        mpirun -n 4 bun run run.ts [subject ...]
 *
 * With `BSYNC_TEST_ISOLATED=1` every pool of an MPI job is isolated, with `BSYNC_TEST_MIXED=1` it is of ranks and
 * of processes.
 */
import { AsyncPool, getRank } from "../../index.ts";
import { LANE } from "../setup/variables.ts";
import { mixAllPools, PART, placeOf, runCases } from "./runner.ts";
// Registers tasks, which the main script has to know.
import "./fixtures/functions.ts";

const OFFSET = 100;

function addOffset(x: number): number {
  return x + OFFSET;
}

async function addLater(x: number): Promise<number> {
  await Promise.resolve();
  return x + OFFSET;
}

function countCases(): number {
  return CASES.length;
}

// The other ranks serve from here on; local workers come no further than this.
const first = await AsyncPool.open();
await first.close();
if (getRank() !== 0) console.log("a rank that serves went on");
// Workers load this script for its names, and no more of it than comes before `open`.
// By hand all of it is played.
process.env[LANE] ??= "full";
const { CASES } = await import("./cases/all.ts");
const { casesFor } = await import("./jobs.ts");
const place = placeOf({ addOffset, addLater, countCases });
if (place.mixed) mixAllPools(place);
const [number, of] = process.env[PART]?.split("/").map(Number) ?? [];
const part = number === undefined || of === undefined ? {} : { part: { number, of } };
const launch = { ...place, ranks: place.workers + 1, ...part };
await runCases(place, casesFor(launch), process.argv.slice(2));
