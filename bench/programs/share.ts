/** 256 MiB that are shared, until a worker has them: GB/s. `references/broadcast.c` is the same in C. */
import { AsyncPool, type Shared } from "../../index.ts";
import { median, report } from "./report.ts";

const BYTES = 256 << 20;
const ROUNDS = 7;

function lastOf({ value }: Shared<Uint8Array>): number {
  return value.at(-1)!;
}

await using pool = await AsyncPool.open(1);
const data = new Uint8Array(BYTES).fill(1);
const speeds: number[] = [];
for (let i = 0; i <= ROUNDS; i++) {
  const start = Bun.nanoseconds();
  const shared = await pool.share(data);
  if ((await pool.async(lastOf, shared)) !== 1) throw new Error("damaged");
  const seconds = (Bun.nanoseconds() - start) / 1e9;
  shared.free();
  if (i > 0) speeds.push(BYTES / seconds / 1e9);
}
report({ gbps: median(speeds) });
