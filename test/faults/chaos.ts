/**
 * Kills, stalls and cancels at random while calls run, and checks every result and every handle.
 *
 *   bun test/faults/chaos.ts [--seconds 60] [--seed 1] [--mode local|openmpi|mpich] [--isolate]
 *                             [--first 0] [--rounds 0]
 *
 * In rounds: each opens a pool, does a list of deeds, ends the pool, and judges. What is done in a round
 * follows from the seed and the round's number alone, so a round that fails can be had again:
 * --seed S --first R --rounds 1 (what the deeds meet depends on the machine; it may take some tries).
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { AsyncPool, getSize, usingMpi } from "../../index.ts";
import { until } from "../contract/assert.ts";
import { launched } from "./launched.ts";
import { playRound, type Tally } from "./round.ts";

/** ms in which a round has to be over; it takes some hundred. */
const ROUND_MS = 30_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    mode: { type: "string", default: "local" },
    first: { type: "string", default: "0" },
    rounds: { type: "string", default: "0" },
    isolate: { type: "boolean", default: false },
  },
});

function descriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

async function main(): Promise<void> {
  const [seconds, seed, first, rounds] = [
    values.seconds,
    values.seed,
    values.first,
    values.rounds,
  ].map(Number) as [number, number, number, number];
  const end = performance.now() + seconds * 1000;
  const last = rounds > 0 ? first + rounds : Infinity;
  const tally: Tally = {};
  let round = first;
  let before = 0;
  for (; round < last && (rounds > 0 || performance.now() < end); round++) {
    const folder = mkdtempSync(join(tmpdir(), "chaos-"));
    let tell = () => "it has no pool yet";
    const watch = (how: () => string) => void (tell = how);
    const late = setTimeout(() => {
      console.error(`round ${round} of seed ${seed} hangs: ${tell()}`);
      rmSync(folder, { recursive: true, force: true });
      process.exit(1);
    }, ROUND_MS);
    try {
      const workers = usingMpi() ? getSize() - 1 : 4;
      await playRound({ seed, round, folder, workers, isolate: values.isolate, tally, watch });
    } catch (error) {
      console.error(
        `round ${round} failed; have it again by --seed ${seed} --first ${round} --rounds 1`,
      );
      throw error;
    } finally {
      clearTimeout(late);
      rmSync(folder, { recursive: true, force: true });
    }
    // What the first rounds have brought in stays: modules, buffers, the kernel's own.
    if (round === first + 4) before = descriptors();
  }
  // Sockets of the last pool may be on their way out.
  if (before > 0) {
    await until(
      `${before} descriptors, as after the first rounds`,
      () => descriptors() <= before + 2,
    );
  }
  console.log(JSON.stringify({ seed, rounds: round - first, ...tally }));
}

await launched(values.mode, import.meta.path);
// The other ranks serve from here on; local workers come no further than this.
const pool = await AsyncPool.open(1);
await pool.close();
await main();
