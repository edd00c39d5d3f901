/** A Float64Array of 64 MiB to a worker and back: GB/s each way. */
import { AsyncPool } from "../../index.ts";
import { bandwidth, report } from "./report.ts";

function same(data: Float64Array): Float64Array {
  return data;
}

await using pool = await AsyncPool.open(1);
report({ gbps: await bandwidth((data) => pool.async(same, data), 5) });
