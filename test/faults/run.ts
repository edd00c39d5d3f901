/**
 * Every cell of the table that is for this way to start a program, and every case of the peers' lists, in
 * one job: a line of JSON for each, from rank 0.
 *
 *   bun run run.ts [words ...]        mpirun -n 3 bun run run.ts [words ...]
 *
 * With BSYNC_TEST_ISOLATED=1 the pools of an MPI job are isolated; with BSYNC_TEST_MIXED=1 the cells are
 * played in pools of a rank and a process.
 */
import { AsyncPool } from "../../index.ts";
import { placeOf, runCases } from "../contract/runner.ts";
import { LANE } from "../setup/variables.ts";

/** Cells at a time where each has processes of its own. Plain ranks are shared. */
const AT_ONCE = 5;

// The other ranks serve from here on; local workers come no further than this.
const first = await AsyncPool.open();
await first.close();

const place = placeOf(null);
// By hand all of it is played.
process.env[LANE] ??= "full";
const { cellsFor } = await import("./jobs.ts");
const words = process.argv.slice(2);
const atOnce = place.mode === "local" || place.isolated ? AT_ONCE : 1;
await runCases(place, cellsFor({ ...place, ranks: place.workers + 1 }), words, atOnce);
