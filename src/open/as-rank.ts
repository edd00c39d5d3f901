import { jobRank, type Ranks } from "../job/ranks.ts";
import type { OpenId } from "../wire/frames.ts";
import { ignoreSignals } from "../worker/ignored-signals.ts";
import { join, serve } from "../worker/rank.ts";
import { type Opened, withoutCalls } from "./opened.ts";
import type { OpenOptions } from "./checked-options.ts";
import { readRanks, type WorkerList } from "../worker-list.ts";
import { DEFAULT_TASK } from "../scheduler/task.ts";

/**
 * `open` on a rank that is not the controller. What is wrong with its arguments is for that to say,
 * which has the same ones: this rank serves then, since the controller may go on and open another
 * pool.
 */
export async function joinPool(
  workers: number | WorkerList | undefined,
  options: OpenOptions,
  among: Ranks,
  isReleased: boolean,
  id: OpenId,
): Promise<Opened> {
  const { settings } = options;
  const job = join(options.initTimeout);
  const isWorker = isAmong(workers, among.rank, among.members?.length ?? job.mpi.size);
  // A rank of an inline pool waits for whatever comes, as one that is not in the list.
  const isAwaited = isWorker !== false && settings?.inline !== true;
  const task = settings?.task ?? DEFAULT_TASK;
  const whose = among.comm === null ? "rank 0" : `rank 0 of ${among.comm}`;
  if (settings?.keepUnused && isWorker === false) return withoutCalls("unused", task, whose);
  if (settings !== null) ignoreSignals(settings.drain.signals);
  await serve(job, jobRank(among, 0), isReleased ? id : null, isAwaited);
  return withoutCalls(isWorker ? "worker" : "unused", task, whose);
}

/** Whether a rank is one of the workers; null where these cannot be. */
function isAmong(
  workers: number | WorkerList | undefined,
  rank: number,
  size: number,
): boolean | null {
  try {
    return readRanks(workers, size).includes(rank);
  } catch {
    return null;
  }
}
