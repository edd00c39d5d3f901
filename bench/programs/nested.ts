/**
 * Tasks of a task, beside calls of the program, on one worker: one awaited after the other, and so
 * many at once. What a child takes in times of a call.
 */
import { AsyncPool, taskContext } from "../../index.ts";
import { median, report } from "./report.ts";

const ONE_BY_ONE = 2_000;
const AT_ONCE = 20_000;
const ROUNDS = 9;

function same(x: number): number {
  return x;
}

type Submit = (i: number) => PromiseLike<number>;

/** µs of a call: one after the other, and at once. */
async function cost(submit: Submit): Promise<{ one: number; many: number }> {
  let start = Bun.nanoseconds();
  for (let i = 0; i < ONE_BY_ONE; i++) await submit(i);
  const one = (Bun.nanoseconds() - start) / 1e3 / ONE_BY_ONE;
  start = Bun.nanoseconds();
  await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => submit(i)));
  return { one, many: (Bun.nanoseconds() - start) / 1e3 / AT_ONCE };
}

async function costOfChildren(): Promise<{ one: number; many: number }> {
  const { pool } = taskContext();
  return await cost((i) => pool.async(same, i));
}

await using pool = await AsyncPool.open(1);
const ones: number[] = [];
const manies: number[] = [];
for (let i = 0; i <= ROUNDS; i++) {
  const call = await cost((i) => pool.async(same, i));
  const child = await pool.async(costOfChildren);
  if (i === 0) continue;
  ones.push(child.one / call.one);
  manies.push(child.many / call.many);
}
report({ one: median(ones), many: median(manies) });
