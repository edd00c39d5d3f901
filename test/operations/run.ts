/**
 * Random operations on pools, one pool after another, each call judged by what may have become of it.
 *
 *   bun test/operations/run.ts [--operations 100000] [--each 400] [--seed 1] [--first 0]
 *                              [--mode local|openmpi|mpich] [--isolate]
 *
 * A play that fails is had again by its seed and number: --seed S --first P --operations 1 (what its operations
 * meet depends on the machine; it may take some tries).
 */
import { parseArgs } from "node:util";
import { AsyncPool, getSize, usingMpi } from "../../index.ts";
import { launched } from "../faults/launched.ts";
import { play, type Tally } from "./play.ts";

/** ms after which a play hangs: it takes some hundred. */
const PLAY_MS = 30_000;

const { values } = parseArgs({
  options: {
    operations: { type: "string", default: "100000" },
    each: { type: "string", default: "400" },
    seed: { type: "string", default: "1" },
    first: { type: "string", default: "0" },
    mode: { type: "string", default: "local" },
    isolate: { type: "boolean", default: false },
  },
});

async function main(): Promise<void> {
  const numbers = [values.operations, values.each, values.seed, values.first].map(Number);
  const [operations, each, seed, first] = numbers as [number, number, number, number];
  const { isolate } = values;
  const workers = usingMpi() ? getSize() - 1 : 3;
  const mortal = isolate || !usingMpi();
  const tally: Tally = {};
  let done = 0;
  let number = first;
  for (; done < operations; number++) {
    const again = `--seed ${seed} --first ${number} --operations 1 --each ${each}`;
    let at: object = {};
    const late = setTimeout(() => {
      console.error(`hangs; have it again by ${again}: ${String(at)}`);
      process.exit(1);
    }, PLAY_MS);
    try {
      const settings = { seed, play: number, workers, mortal, isolate, operations: each };
      done += await play(settings, tally, (one) => (at = one));
    } catch (error) {
      console.error(`failed; have it again by ${again}: ${String(at)}`);
      throw error;
    } finally {
      clearTimeout(late);
    }
  }
  console.log(JSON.stringify({ seed, plays: number - first, operations: done, ...tally }));
}

await launched(values.mode, import.meta.path);
// The other ranks serve from here on; local workers come no further than this.
const pool = await AsyncPool.open(1);
await pool.close();
await main();
