import { promiseOf } from "../controller/settlement.ts";
import type { MessageHandle } from "../handle.ts";
import { Promise } from "../os/natives.ts";
import type { ProgressSources } from "../watch/progress-sources.ts";
import { HandleProgress } from "./handle-progress.ts";
import { readHandles } from "./handles.ts";

/** The results of all handles in their order; see `AsyncPool.all`. */
export async function allOf(
  handles: Iterable<MessageHandle<unknown>>,
  progressSources: ProgressSources | null,
): Promise<unknown[]> {
  const list = readHandles("wait for all", handles);
  const progressSource = new HandleProgress(list);
  progressSources?.add(progressSource);
  try {
    return await Promise.all(list.map(promiseOf));
  } catch (error) {
    // From the last one on: else places in the queue that are given up first would go to the next.
    for (const handle of list.toReversed()) if (!handle.settled) handle.cancel(error);
    throw error;
  } finally {
    progressSources?.delete(progressSource);
  }
}
