import { hostCores } from "../os/cores.ts";
import { MpiError } from "../errors.ts";
import type { Mpi } from "../mpi/mpi.ts";
import { runningMpi, startMpi } from "../mpi/start.ts";
import { refuseStrayTask } from "./stray-task.ts";
import { callExitListeners } from "../os/test-run.ts";
import { listenUnseen } from "../os/unseen.ts";
import { FOREVER_MS, LET_GO_MS } from "../os/waits.ts";
import { numberOf, settingOf } from "../os/settings.ts";
import { MpiHub } from "../link/mpi/hub.ts";
import { exitCodeFor, watchUncaught } from "../os/uncaught.ts";
import { JOB_TAG, Membership } from "./membership.ts";
import type { RankLink } from "../link/mpi/rank.ts";
import { DOORBELL_SIGNAL } from "../link/mpi/doorbell.ts";

/**
 * How this process joins its MPI job, and the state it then has. `job/environment.ts` tells whether
 * there is a job; `membership.ts` who serves whom in it, and how it ends.
 */

/**
 * µs a waiting side spins after traffic. A napping peer takes some 160 µs to answer (a nap of 100
 * µs and what Linux adds): sleeping before that would find it asleep again, each time.
 */
export const SPIN_US = 300;

/** A message that a doorbell announces may take so many polls to be found. */
export const DOORBELL_LOOKS = 8;

export interface Job {
  readonly mpi: Mpi;
  readonly hub: MpiHub;
  /** µs a waiting side spins: none with more ranks than cores. */
  readonly spinUs: number;
  readonly membership: Membership;
  /** Called when another rank of this machine rings. */
  readonly onDoorbell: Set<() => void>;
}

let joined: Job | null = null;

let lettingGo = false;

/**
 * `open` was refused here before it had started MPI. If the program still ends well, and opens
 * nothing else, it meets and releases the other ranks, which wait for it in `MPI_Init`.
 */
export function letGoAtEnd(): void {
  if (lettingGo || runningMpi() !== null) return;
  lettingGo = true;
  listenUnseen("exit", (code: number) => {
    if (code !== 0 || runningMpi() !== null) return;
    try {
      joinJob(LET_GO_MS, () => null).membership.shutDown(code);
    } catch {
      // No MPI can be loaded: then nobody waits in it.
    }
  });
}

/**
 * Starts MPI for a program's own messages (bsync/mpi), before, after or without a pool, and
 * arranges its end. Without a launcher this process is a job of its own.
 */
export function startForProgram(initTimeout = FOREVER_MS): Mpi {
  refuseStrayTask();
  // Node and Bun: true while `exit` handlers run, after which nothing could end MPI.
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
  // This program has no pool, but others may be waiting for it to open one.
  joined ??= makeJob(mpi, () => null);
  joined.membership.shutDown(exitCodeFor(code));
}

/**
 * Runs in the `exit` event: a listener that calls `process.exit` itself ends the process before
 * other listeners are called.
 */
function endBeforeExit(): void {
  // Node and Bun: the last function that `process.exit` calls.
  const ending = process as unknown as { reallyExit(code: number): never };
  const { reallyExit } = ending;
  ending.reallyExit = (code) => {
    end(code);
    return reallyExit.call(process, code);
  };
}

let isSeenTo = false;

/** Makes this process take part in the end of the job when it ends. */
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
 * Starts MPI, once. `accept` makes the link for a message of an unknown session: on a serving rank,
 * that of a new pool.
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

/** µs to spin: none with more ranks than cores. An isolated rank counts twice, for its child. */
export function spinOf(mpi: Mpi, isolated = false): number {
  const processes = isolated ? 2 * mpi.ranksOnHost - 1 : mpi.ranksOnHost;
  return processes > hostCores() ? 0 : SPIN_US;
}

/**
 * Longer messages go in parts, so that a rank polls between them. Open MPI may copy all that a link
 * is sending (`outbox.ts`: 16 parts) in one go, at some 100 MB/s for each of many ranks on few
 * cores, and a rank that does not poll for seconds counts as held. A larger size gains nothing
 * measurable.
 */
const CHUNK_BYTES = 4 * 2 ** 20;

/** BSYNC_CHUNK_BYTES: the longest message of a pool; 4 MiB if not set. */
export function chunkBytes(): number {
  const bytes = numberOf("BSYNC_CHUNK_BYTES") ?? CHUNK_BYTES;
  if (Number.isInteger(bytes) && bytes >= 1 && bytes < 2 ** 31) return bytes;
  throw new RangeError(
    `Cannot use BSYNC_CHUNK_BYTES=${settingOf("BSYNC_CHUNK_BYTES")}: it must be a whole number ` +
      "of bytes from 1 to 2147483647",
  );
}
