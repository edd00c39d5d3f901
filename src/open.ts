import { BsyncError } from "./errors.ts";
import { calledByMain, calledByProgram, moduleRunAgain } from "./function/callers.ts";
import { isLoading, mayRunAgain, reachedOpen } from "./function/main-script.ts";
import { mpiJob } from "./job/environment.ts";
import { refuseStrayTask } from "./job/stray-task.ts";
import type { Launcher } from "./mpi/launcher/launcher.ts";
import { type Opened, withoutCalls } from "./open/opened.ts";
import { OpenOptions } from "./open/checked-options.ts";
import { type PoolOptions, type PoolSettings, readPoolOptions } from "./options.ts";
import { isCompiled, Promise } from "./os/natives.ts";
import { takeStart, takeStartAtOnce, type WorkerStart } from "./os/worker-env.ts";
import { nextOpen, type Ranks, ranksOf } from "./job/ranks.ts";
import { currentCall } from "./context.ts";
import type { WorkerList } from "./worker-list.ts";

/**
 * How a pool is opened, by what this process is: the controller, with processes, ranks or both
 * around it; a rank that serves, or goes on; or a process that loads the script for the functions
 * in it, which goes no further.
 *
 * Each of these loads its own part of bsync, and no other: to load it all takes longer than all
 * else that a process does before it serves.
 */

/** What `AsyncPool.open` does; see there. */
export async function openPool(
  workers: number | WorkerList | undefined,
  given: PoolOptions,
): Promise<Opened> {
  if (isRunAgain()) {
    // On a worker, that loads a module for its functions. The main script has come as far as it
    // should; a module that it imports goes on, with a pool that is none.
    if (!calledByMain()) return withoutCalls("worker", readPoolOptions(given).task);
    reachedOpen();
    return new Promise(() => {});
  }
  const note = takeStart();
  if (note !== null) return serveBundled(note);
  // The library that this process serves for opens it for its program, not for a task.
  if (served !== null && currentCall() === null) return new Promise(() => {});
  const options = new OpenOptions(given);
  const { mayUseMpi } = options;
  const launcher = mayUseMpi ? mpiJob(options.initTimeout) : null;
  if (launcher === null && mayUseMpi) refuseStrayTask();
  if (launcher === null) return await openHere(workers, options.check());
  const { among, isReleased } = await readTogether(options, launcher);
  if (among.members?.length === 1) return await openHere(workers, options.check());
  if (among.rank !== 0 && !isReleased) refuseInTask(among);
  // Numbered before a module is waited for: the number is that of the call.
  const id = nextOpen(among);
  const open =
    among.rank === 0
      ? (await import("./open/in-job.ts")).openInJob
      : (await import("./open/as-rank.ts")).joinPool;
  return await open(workers, options, among, isReleased, id);
}

/**
 * Bundled into a library bsync serves as soon as it is loaded: the program, which would come to
 * `open`, is another file.
 */
const served = import.meta.path.endsWith("/src/open.ts") ? null : takeStartAtOnce();
if (served !== null) void serveBundled(served);

async function openHere(
  workers: number | WorkerList | undefined,
  settings: PoolSettings,
): Promise<Opened> {
  if (settings.inline) {
    const { openInline } = await import("./open/inline.ts");
    return await openInline(workers, settings);
  }
  refuseInThread();
  const { openLocal } = await import("./open/local.ts");
  return await openLocal(workers, settings);
}

/**
 * Workers of a compiled program run that from its beginning, and would come to the thread's `open`
 * by starting it.
 */
function refuseInThread(): void {
  if (Bun.isMainThread || !isCompiled()) return;
  throw new BsyncError(
    "BSYNC_IN_THREAD",
    "Cannot open a pool in a Worker of a compiled program: the pool's workers run the program " +
      "itself, and not the Worker's script; open it in the main thread",
  );
}

/** On a rank that is not the controller `open` would wait for calls that a task keeps from it. */
function refuseInTask({ rank }: Ranks): void {
  const caller = currentCall()?.label;
  if (caller === undefined) return;
  throw new BsyncError(
    "BSYNC_IN_TASK",
    `Cannot open a pool in ${caller}: on rank ${rank} open waits for the calls of rank 0, and ` +
      "never resolves; for local processes of the task's own, open it with { mpi: false }",
  );
}

/** Whether it is called by a module's run for its functions, or by what that has started. */
function isRunAgain(): boolean {
  if (!mayRunAgain() || currentCall() !== null || calledByProgram()) return false;
  return isLoading() || moduleRunAgain() !== undefined;
}

/**
 * What every rank has to know before anything else, and so has to be right on each of them: whose
 * pool it is, and whether ranks go on after it. All else is for the controller to say.
 */
async function readTogether(
  options: OpenOptions,
  launcher: Launcher,
): Promise<{ among: Ranks; isReleased: boolean }> {
  try {
    return { among: ranksOf(options.comm, launcher), isReleased: options.release };
  } catch (error) {
    const { letGoAtEnd } = await import("./job/job.ts");
    letGoAtEnd();
    throw error;
  }
}

/** In a bundled program a local worker runs the program itself, and serves from `open` on. */
async function serveBundled(note: WorkerStart): Promise<never> {
  const { serveParent } = await import("./worker/local.ts");
  serveParent(note);
  return new Promise(() => {});
}
