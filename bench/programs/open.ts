/** How long `open` takes, and how large its workers are: four local ones, or the job's ranks. */
import { AsyncPool, usingMpi } from "../../index.ts";
import { report } from "./report.ts";

function resident(): number {
  return process.memoryUsage.rss();
}

const start = Bun.nanoseconds();
await using pool = await AsyncPool.open(usingMpi() ? undefined : 4);
const ms = (Bun.nanoseconds() - start) / 1e6;
const sizes = await pool.each(resident);
report({ ms, mib: Math.max(...sizes) / 2 ** 20 });
