/** `await pool.async(f, i)` in a loop: one controller, one worker, both warm. */
import { AsyncPool } from "../../index.ts";
import { quantile, report, roundTrips } from "./report.ts";

function same(x: number): number {
  return x;
}

await using pool = await AsyncPool.open(1);
const times = await roundTrips((i) => pool.async(same, i), { warm: 30_000, calls: 50_000 });
report({ us: quantile(times, 0.5), p99: quantile(times, 0.99) });
