import { promiseOf } from "../controller/settlement.ts";
import type { MessageHandle } from "../handle.ts";
import { Promise } from "../os/natives.ts";
import type { Batches } from "../watch/batches.ts";
import { HandleBatch } from "./handle-batch.ts";
import { readHandles } from "./handles.ts";

/** The results of all handles in their order; see `AsyncPool.all`. */
export async function allOf(
  handles: Iterable<MessageHandle<unknown>>,
  batches: Batches | null,
): Promise<unknown[]> {
  const list = readHandles("wait for all", handles);
  const batch = new HandleBatch(list);
  batches?.add(batch);
  try {
    return await Promise.all(list.map(promiseOf));
  } catch (error) {
    // From the last one on: else places in the queue that are given up first would go to the next.
    for (const handle of list.toReversed()) if (!handle.settled) handle.cancel(error);
    throw error;
  } finally {
    batches?.delete(batch);
  }
}
