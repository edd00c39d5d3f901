/** The first call to a worker that sleeps; the argument is the program's slot (`silence.ts`). */
import { AsyncPool } from "../../index.ts";
import { report } from "./report.ts";
import { afterSilence } from "./silence.ts";

function same(x: number): number {
  return x;
}

await using pool = await AsyncPool.open(1);
report({ us: await afterSilence((i) => pool.async(same, i), Number(process.argv[2] ?? 0)) });
