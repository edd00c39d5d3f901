import { hostCores } from "../os/cores.ts";
import { MpiError } from "../errors.ts";
import type { Mpi } from "../mpi/mpi.ts";
import { runningMpi, startMpi } from "../mpi/start.ts";
import { refuseStrayTask } from "./stray.ts";
import { callExitListeners } from "../os/test-run.ts";
import { listenUnseen } from "../os/unseen.ts";
import { FOREVER_MS, LET_GO_MS } from "../os/waits.ts";
import { numberOf, settingOf } from "../os/settings.ts";
import { MpiHub } from "../link/mpi/hub.ts";
import { exitCodeFor, watchUncaught } from "../os/uncaught.ts";
import { JOB_TAG, Membership } from "./membership.ts";
import { DOORBELL_SIGNAL, type RankLink } from "../link/mpi/rank.ts";

/**
 * How this process joins its MPI job, and what is known of that then. Whether there is one is told
 * by `job/environment.ts`; who serves whom there, and how it ends, is in `membership.ts`.
 */

/**
 * µs a waiting side spins after traffic. A peer that naps takes some 160 µs to answer (a nap of 100
 * µs and what Linux adds to it): to sleep before that would find it asleep again, each time.
 */
export const SPIN_US = 300;

/** What a doorbell announces may take so many looks to be found. */
export const DOORBELL_LOOKS = 8;

export interface Job {
  readonly mpi: Mpi;
  readonly hub: MpiHub;
  /** µs a waiting side spins: none where there are more ranks than cores. */
  readonly spinUs: number;
  readonly membership: Membership;
  /** Called when another rank of this machine rings. */
  readonly onDoorbell: Set<() => void>;
}

let joined: Job | null = null;

let lettingGo = false;

/**
 * `open` was refused here before it had started MPI. Should the program end well all the same, and
 * open nothing else, then it lets go of the other ranks, who wait in `MPI_Init` for it.
 */
export function letGoAtEnd(): void {
  if (lettingGo || runningMpi() !== null) return;
  lettingGo = true;
  listenUnseen("exit", (code: number) => {
    if (code !== 0 || runningMpi() !== null) return;
    try {
      joinJob(LET_GO_MS, () => null).membership.end(code);
    } catch {
      // There is no MPI to be had: then nobody waits in it.
    }
  });
}

/**
 * Starts MPI for a program's own messages (bsync/mpi), be it before, after or without a pool, and
 * sees to its end. Without a launcher this process is a job of its own.
 */
export function startForProgram(initTimeout = FOREVER_MS): Mpi {
  refuseStrayTask();
  // Of Node's, and Bun's: true while `exit` handlers run, after which nothing could end it.
  if ((process as { _exiting?: boolean })._exiting === true && runningMpi() === null) {
    throw new MpiError(
      "Cannot start MPI: this program is at its end; use MPI once before, and not in an exit " +
        "handler alone",
    );
  }
  const mpi = startMpi({ initTimeout, alone: true });
  seeToEnd(mpi);
  return mpi;
}

function end(code: number): void {
  const mpi = runningMpi();
  if (mpi === null || mpi.finalized) return;
  // A program that has no pool: others may wait for one of it all the same.
  joined ??= makeJob(mpi, () => null);
  joined.membership.end(exitCodeFor(code));
}

/**
 * From the `exit` event on: a listener that calls `process.exit` itself ends the process before
 * others are called.
 */
function endBeforeExit(): void {
  // Of Node's, and Bun's: what `process.exit` does last.
  const ending = process as unknown as { reallyExit(code: number): never };
  const { reallyExit } = ending;
  ending.reallyExit = (code) => {
    end(code);
    return reallyExit.call(process, code);
  };
}

let isSeenTo = false;

/** Takes part in the end of the job when this process ends. */
function seeToEnd(mpi: Mpi): void {
  if (isSeenTo) return;
  isSeenTo = true;
  callExitListeners();
  listenUnseen("exit", end);
  listenUnseen("exit", endBeforeExit, true);
  watchUncaught(() => mpi.size > 1, end);
}

type Accept = (hub: MpiHub, source: number, tag: number, session: number) => RankLink | null;

/**
 * Starts MPI, once. `accept` makes the link for a message of a session that is not known yet: on a
 * rank that serves, a new pool's.
 */
export function joinJob(initTimeout: number, accept: Accept): Job {
  if (joined !== null) return joined;
  joined = makeJob(startMpi({ initTimeout }), accept);
  seeToEnd(joined.mpi);
  return joined;
}

function makeJob(mpi: Mpi, accept: Accept): Job {
  const hub: MpiHub = new MpiHub(mpi, chunkBytes(), (source, tag, session) =>
    tag === JOB_TAG ? membership.link(source) : accept(hub, source, tag, session),
  );
  const membership = new Membership(mpi, hub);
  const onDoorbell = new Set<() => void>();
  listenUnseen(DOORBELL_SIGNAL, () => {
    for (const listener of onDoorbell) listener();
  });
  return { mpi, hub, membership, spinUs: spinOf(mpi), onDoorbell };
}

/** µs to spin: none where there are more ranks than cores, `isolated` ones with a child each. */
export function spinOf(mpi: Mpi, isolated = false): number {
  const processes = isolated ? 2 * mpi.ranksOnHost - 1 : mpi.ranksOnHost;
  return processes > hostCores() ? 0 : SPIN_US;
}

/**
 * What is longer goes in parts, so that a rank comes by between them: all that a link has under way
 * (`outbox.ts`: 16) Open MPI may copy in one go, at some 100 MB/s for each of many ranks on few
 * cores, and who does not come by for seconds counts as held. Of more there is no gain to be
 * measured.
 */
const CHUNK_BYTES = 4 * 2 ** 20;

/** BSYNC_CHUNK_BYTES: the longest message of a pool; 4 MiB where it is not set. */
export function chunkBytes(): number {
  const bytes = numberOf("BSYNC_CHUNK_BYTES") ?? CHUNK_BYTES;
  if (Number.isInteger(bytes) && bytes >= 1 && bytes < 2 ** 31) return bytes;
  throw new RangeError(
    `Cannot use BSYNC_CHUNK_BYTES=${settingOf("BSYNC_CHUNK_BYTES")}: it must be a whole number ` +
      "of bytes from 1 to 2147483647",
  );
}
