import { letGoAtEnd } from "../job/job.ts";
import type { PoolSettings } from "../options.ts";
import { jobRank, type Ranks } from "../job/ranks.ts";
import { MpiBackend, Release, returnTag, takeTag } from "../backend/mpi.ts";
import { LocalBackend } from "../backend/local.ts";
import { MixedBackend } from "../backend/mixed.ts";
import type { Backend } from "../backend/backend.ts";
import type { OpenId } from "../wire/frames.ts";
import { join } from "../worker/rank.ts";
import { openOn } from "./on-backend.ts";
import type { Opened } from "./opened.ts";
import type { OpenOptions } from "./checked-options.ts";
import { readRanks, type WorkerList } from "../worker-list.ts";

/**
 * `open` on the controller of an MPI job, or of a communicator; it is the `id`th one of these
 * ranks.
 */
export async function openInJob(
  workers: number | WorkerList | undefined,
  options: OpenOptions,
  among: Ranks,
  isReleased: boolean,
  id: OpenId,
): Promise<Opened> {
  if (!isReleased) {
    let settings: PoolSettings;
    try {
      settings = options.check();
      // Where the launcher says how many ranks there are, bad arguments fail before MPI starts.
      if (among.size > 0) readRanks(workers, among.size, among.comm);
    } catch (error) {
      letGoAtEnd();
      throw error;
    }
    return await openAmong(workers, settings, among, null);
  }
  // The others wait for what comes of it, whatever is wrong with it.
  const job = join(options.initTimeout);
  const release = new Release(job, among, id);
  try {
    return await openAmong(workers, options.check(), among, release);
  } catch (error) {
    release.send();
    throw error;
  }
}

async function openAmong(
  workers: number | WorkerList | undefined,
  settings: PoolSettings,
  among: Ranks,
  release: Release | null,
): Promise<Opened> {
  if (settings.inline) {
    const ranks = ranksFor(workers, settings, among, release);
    const { openSessions } = await import("./inline.ts");
    return await openSessions(ranks.length, settings, () => release?.send());
  }
  const tag = takeTag(settings.tag);
  let outside: Backend;
  let ranks: WorkerList;
  try {
    const job = join(settings.openTimeout);
    ranks = ranksFor(workers, settings, among, release);
    const { spin, isolate } = settings;
    const inJob = new MpiBackend(job, ranks, tag, { among, spin, isolate, release });
    const mixed = ranks.includes(null);
    outside = mixed ? new MixedBackend(ranks, inJob, new LocalBackend(settings, spin)) : inJob;
  } catch (error) {
    returnTag(tag);
    throw error;
  }
  return await openOn(outside, ranks.length, settings);
}

/** The workers, which are ranks of the job or local processes; the ranks to release are set. */
function ranksFor(
  workers: number | WorkerList | undefined,
  { openTimeout, keepUnused }: PoolSettings,
  among: Ranks,
  release: Release | null,
): WorkerList {
  const job = join(openTimeout);
  const ranks = readRanks(workers, among.members?.length ?? job.mpi.size, among.comm);
  if (release !== null && keepUnused) {
    release.ranks = ranks.flatMap((rank) => (rank === null ? [] : [jobRank(among, rank)]));
  }
  return ranks;
}
