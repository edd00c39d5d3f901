/**
 * A call after a silence: `pace.ts [awaited|getSync [phases]]`. Awaited, or with `getSync` after a
 * sleep that holds the thread.
 */
import { AsyncPool } from "../../index.ts";
import { callsAfterSilences, phasesOf } from "./paces.ts";
import { report } from "./report.ts";

function same(x: number): number {
  return x;
}

await using pool = await AsyncPool.open(1);
const [, , way = "awaited", phases] = process.argv;
report(
  way === "getSync"
    ? await callsAfterSilences(
        (i) => pool.async(same, i).getSync(),
        phasesOf(phases),
        Bun.sleepSync,
      )
    : await callsAfterSilences((i) => pool.async(same, i), phasesOf(phases)),
);
