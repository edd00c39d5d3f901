import { statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Controller } from "./controller.ts";
import { BsyncError } from "./errors.ts";
import { calledByMain, calledByProgram, moduleRunAgain } from "./function/reference.ts";
import { isLoading, mayRunAgain, reachedOpen } from "./function/scope.ts";
import { letGoAtEnd, mpiJob, refuseStrayTask } from "./link/job.ts";
import { WORKER_MARK } from "./link/local.ts";
import type { Launcher } from "./mpi/launcher.ts";
import {
  DEFAULT_OPEN_TIMEOUT_MS,
  DEFAULT_TASK,
  ownOption,
  type PoolOptions,
  type PoolSettings,
  readCount,
  readPoolOptions,
  readRanks,
  readRelease,
  type WorkerList,
} from "./options.ts";
import { jobRank, nextOpen, type Ranks, ranksFor } from "./ranks.ts";
import { JobSurroundings, Release, returnTag, takeTag } from "./surroundings/job.ts";
import { LocalSurroundings } from "./surroundings/local.ts";
import { MixedSurroundings } from "./surroundings/mixed.ts";
import type { Surroundings } from "./surroundings/surroundings.ts";
import type { TaskOptions } from "./task.ts";
import { currentCall } from "./worker/context.ts";
import { leaveToController } from "./worker/guard.ts";
import { serveParent } from "./worker/local.ts";
import { join, serve } from "./worker/rank.ts";

/**
 * How a pool is opened, by what this process is: the controller, with processes, ranks or both around it; a rank
 * that serves, or goes on; or a process that loads the script for the functions in it, which goes no further.
 */

/** What a pool is on this process. */
export type PoolRole = "controller" | "worker" | "unused";

/** What a pool is made of. */
export interface Opened {
  readonly role: PoolRole;
  /** Null where the role is another one. */
  readonly controller: Controller | null;
  /** Whose the controller is, where it is not here: as "rank 0". */
  readonly whose: string;
  /** The options of calls that have none of their own. */
  readonly task: TaskOptions;
}

/** What `AsyncPool.open` does; see there. */
export async function openPool(
  workers: number | WorkerList | undefined,
  options: PoolOptions,
): Promise<Opened> {
  if (isRunAgain()) {
    // On a worker, that loads a module for its functions. The main script has come as far as it
    // should; a module that it imports goes on, with a pool that is none.
    if (!calledByMain()) return withoutCalls("worker", readPoolOptions(options).task);
    reachedOpen();
    return new Promise(() => {});
  }
  if (process.env[WORKER_MARK] !== undefined) return serveBundled();
  const mayUseMpi = ownOption(options, "mpi") !== false;
  const launcher = mayUseMpi ? mpiJob(openTimeoutOf(options)) : null;
  if (launcher === null && mayUseMpi) refuseStrayTask();
  if (launcher === null) return await openLocal(workers, readPoolOptions(options));
  const { among, isReleased } = readTogether(options, launcher);
  if (among.members?.length === 1) return await openLocal(workers, readPoolOptions(options));
  const open = among.rank === 0 ? openInJob : joinPool;
  return await open(workers, options, among, isReleased);
}

/** Whether it is called by a module's run for its functions, or by what that has started. */
function isRunAgain(): boolean {
  if (!mayRunAgain() || currentCall() !== null || calledByProgram()) return false;
  return isLoading() || moduleRunAgain() !== undefined;
}

async function openLocal(
  workers: number | WorkerList | undefined,
  settings: PoolSettings,
): Promise<Opened> {
  const count = readCount(workers, availableParallelism());
  const { cwd } = settings;
  if (cwd !== undefined && !statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) {
    throw new RangeError(`Cannot open a pool: its cwd ${JSON.stringify(cwd)} is no folder`);
  }
  return await openOn(new LocalSurroundings(settings, settings.spin), count, settings);
}

/**
 * What every rank has to know before anything else, and so has to be right on each of them: whose pool it is, and
 * whether ranks go on after it. All else is for the controller to say.
 */
function readTogether(
  options: PoolOptions,
  launcher: Launcher,
): { among: Ranks; isReleased: boolean } {
  try {
    return { among: ranksFor(options, launcher), isReleased: readRelease(options) };
  } catch (error) {
    letGoAtEnd();
    throw error;
  }
}

/** `open` on the controller. */
async function openInJob(
  workers: number | WorkerList | undefined,
  options: PoolOptions,
  among: Ranks,
  isReleased: boolean,
): Promise<Opened> {
  const id = nextOpen(among);
  if (!isReleased) {
    let settings: PoolSettings;
    try {
      settings = readPoolOptions(options);
      // Where the launcher says how many ranks there are, bad arguments fail before MPI starts.
      if (among.size > 0) readRanks(workers, among.size, among.comm);
    } catch (error) {
      letGoAtEnd();
      throw error;
    }
    return await openAmong(workers, settings, among, null);
  }
  // The others wait for what comes of it, whatever is wrong with it.
  const job = join(openTimeoutOf(options));
  const release = new Release(job, among, id);
  try {
    return await openAmong(workers, readPoolOptions(options), among, release);
  } catch (error) {
    release.tell();
    throw error;
  }
}

async function openAmong(
  workers: number | WorkerList | undefined,
  settings: PoolSettings,
  among: Ranks,
  release: Release | null,
): Promise<Opened> {
  const tag = takeTag(settings.tag);
  let outside: Surroundings;
  let ranks: WorkerList;
  try {
    const job = join(settings.openTimeout);
    ranks = readRanks(workers, among.members?.length ?? job.mpi.size, among.comm);
    if (release !== null && settings.keepUnused) {
      release.ranks = ranks.flatMap((rank) => (rank === null ? [] : [jobRank(among, rank)]));
    }
    const { spin, isolate } = settings;
    const inJob = new JobSurroundings(job, ranks, tag, { among, spin, isolate, release });
    const mixed = ranks.includes(null);
    outside = mixed
      ? new MixedSurroundings(ranks, inJob, new LocalSurroundings(settings, spin))
      : inJob;
  } catch (error) {
    returnTag(tag);
    throw error;
  }
  return await openOn(outside, ranks.length, settings);
}

async function openOn(
  outside: Surroundings,
  workers: number,
  { initializer, openTimeout, task, limits, drain }: PoolSettings,
): Promise<Opened> {
  const controller = new Controller(outside, limits, drain);
  try {
    await controller.open(workers, initializer, openTimeout);
  } catch (error) {
    outside.leave();
    throw error;
  }
  return { role: "controller", controller, whose: "", task };
}

/**
 * `open` on a rank that is not the controller. What is wrong with its arguments is for that to say, which
 * has the same ones: this rank serves then, since the controller may go on and open another pool.
 */
async function joinPool(
  workers: number | WorkerList | undefined,
  options: PoolOptions,
  among: Ranks,
  isReleased: boolean,
): Promise<Opened> {
  const caller = currentCall()?.label;
  if (caller !== undefined && !isReleased) {
    throw new BsyncError(
      "BSYNC_IN_TASK",
      `Cannot open a pool in ${caller}: on rank ${among.rank} open waits for the calls of rank 0, and never ` +
        "resolves; for local processes of the task's own, open it with { mpi: false }",
    );
  }
  const id = nextOpen(among);
  const settings = settingsOf(options);
  const job = join(openTimeoutOf(options));
  const isWorker = isAmong(workers, among.rank, among.members?.length ?? job.mpi.size);
  const task = settings?.task ?? DEFAULT_TASK;
  const whose = among.comm === null ? "rank 0" : `rank 0 of ${among.comm}`;
  if (settings?.keepUnused && isWorker === false) return withoutCalls("unused", task, whose);
  if (settings !== null) leaveToController(settings.drain.signals);
  await serve(job, jobRank(among, 0), isReleased ? id : null);
  return withoutCalls(isWorker ? "worker" : "unused", task, whose);
}

/** A pool that takes no calls on this process. */
function withoutCalls(role: "worker" | "unused", task: TaskOptions, whose = "rank 0"): Opened {
  return { role, controller: null, whose, task };
}

/** ms for MPI to start, whatever is wrong with the options: the others wait in it for this rank. */
function openTimeoutOf(options: PoolOptions): number {
  return settingsOf(options)?.openTimeout ?? DEFAULT_OPEN_TIMEOUT_MS;
}

/** Null where something is wrong with them. */
function settingsOf(options: PoolOptions): PoolSettings | null {
  try {
    return readPoolOptions(options);
  } catch {
    return null;
  }
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

/** In a bundled program a local worker runs the program itself, and serves from `open` on. */
function serveBundled(): Promise<never> {
  serveParent();
  return new Promise(() => {});
}
