import { availableParallelism, cpus } from "node:os";
import { MpiError } from "../errors.ts";
import { findLauncher, type Launcher } from "../mpi/launcher.ts";
import { type Mpi, runningMpi, startMpi } from "../mpi/mpi.ts";
import { servedPlace } from "../place.ts";
import { Kind, MessageWriter, readFrames } from "../wire.ts";
import { endAtRejections } from "./rejections.ts";
import type { LinkOwner } from "./link.ts";
import { BELL_SIGNAL, MpiHub, type MpiLink } from "./mpi.ts";

/**
 * The MPI job this process belongs to, and how it ends: rank 0 tells every rank that serves, waits
 * a moment for their word, and all leave MPI together. Who does not answer (a rank that is stuck in
 * a call) does not keep the others: then the job is aborted, with the program's own exit code.
 */

/** The tag of the job's own messages. Tags below it, the highest that MPI guarantees, are for pools. */
export const JOB_TAG = 32_767;

/** ms that rank 0 waits at the end of the program for the ranks that serve. */
const FAREWELL_MS = 1_500;

/**
 * µs a waiting side spins after traffic. A peer that naps takes some 160 µs to answer (a nap of 100 µs
 * and what Linux adds to it): to sleep before that would find it asleep again, each time.
 */
export const SPIN_US = 300;

/** What a bell announces may take so many looks to be found. */
export const BELL_LOOKS = 8;

/** Session of the job's own messages. */
const JOB_SESSION = 0;

/** The launcher that makes this process part of an MPI job; null when it is none, or shall be none. */
export function mpiJob(): Launcher | null {
  const { BSYNC_USE_MPI: use } = process.env;
  if (use === "0") return null;
  const launcher = findLauncher(process.env);
  if (use === "1" && launcher === null) {
    throw new MpiError(
      "Cannot use MPI as BSYNC_USE_MPI=1 says: no launcher started this program; " +
        "start it with mpirun -n 4 bun run …",
    );
  }
  return launcher !== null && (launcher.size !== 1 || use === "1") ? launcher : null;
}

/** Whether this process is a rank of an MPI job, or works for one. */
export function usingMpi(): boolean {
  return servedPlace() !== null || mpiJob() !== null;
}

/** This process's rank in its MPI job, or that of the rank it works for; 0 without MPI. */
export function getRank(): number {
  return servedPlace()?.rank ?? mpiJob()?.rank ?? 0;
}

/** How many ranks the MPI job has; 1 without MPI. */
export function getSize(): number {
  return joined?.mpi.size ?? servedPlace()?.size ?? mpiJob()?.size ?? 1;
}

export interface Job {
  readonly mpi: Mpi;
  readonly hub: MpiHub;
  /** µs a waiting side spins: none where there are more ranks than cores. */
  readonly spinUs: number;
  /** Ranks that serve, or will: those that are told when the program ends. */
  readonly serving: Set<number>;
  /** Called when another rank of this machine rings. */
  readonly onBell: Set<() => void>;
  /** On a rank that serves: called before its process ends although nobody has dismissed it. */
  onDesertion: ((code: number) => void) | null;
}

let joined: Job | null = null;

/** ms in which a rank that fails before `open` tries to end the job. */
const FAIL_MS = 2_000;

/**
 * Ends the job when this process fails before it has started MPI. The launcher would, but MPICH's lets the
 * other ranks wait in `MPI_Init` for ever: so this one starts MPI too, only to abort.
 */
function endUnjoinedJob(code: number): void {
  if (runningMpi() !== null || code === 0) return;
  try {
    startMpi({ initTimeout: FAIL_MS, exitCode: code }).abort(code);
  } catch {
    // There is no MPI to be had: then nobody waits in it.
  }
}

if (findLauncher(process.env)?.family === "mpich") process.on("exit", endUnjoinedJob);

/** ms that are as good as for ever: some other rank's program may only come to MPI tomorrow. */
const PATIENT_MS = 2 ** 31 - 1;

/**
 * Starts MPI for a program's own messages (bsync/mpi), be it before, after or without a pool, and sees
 * to its end. Without a launcher this process is a job of its own.
 */
export function startForProgram(): Mpi {
  const mpi = startMpi({ initTimeout: PATIENT_MS, alone: true });
  seeToEnd();
  return mpi;
}

let ending = false;

function seeToEnd(): void {
  if (ending) return;
  ending = true;
  process.on("exit", (code) => {
    if (joined === null) leaveAlone(code);
    else if (joined.mpi.rank === 0) endJob(code);
    else leave(code);
  });
  endAtRejections();
}

/**
 * Starts MPI, once. `accept` makes the link for a message of a session that is not known yet: on a
 * rank that serves, a new pool's.
 */
export function joinJob(
  initTimeout: number,
  accept: (hub: MpiHub, source: number, tag: number, session: number) => MpiLink | null,
): Job {
  if (joined !== null) return joined;
  const mpi = startMpi({ initTimeout });
  const hub: MpiHub = new MpiHub(mpi, chunkBytes(), (source, tag, session) =>
    tag === JOB_TAG
      ? hub.connect(source, tag, JOB_SESSION, farewell)
      : accept(hub, source, tag, session),
  );
  const onBell = new Set<() => void>();
  process.on(BELL_SIGNAL, () => {
    for (const listener of onBell) listener();
  });
  joined = { mpi, hub, spinUs: spinOf(mpi), serving: new Set(), onBell, onDesertion: null };
  seeToEnd();
  return joined;
}

let leaving = false;
/** Rank 0 has told this rank to leave. */
let dismissed = false;
let absent: Set<number> | null = null;

/** On rank 0: who has said farewell. On others: the job is over. */
const farewell: LinkOwner = {
  onMessage(bytes, length, buffers) {
    readFrames(bytes, length, buffers, ({ kind, task }) => {
      if (kind === Kind.Ended) absent?.delete(task);
      if (kind === Kind.End) say(0, Kind.Ended);
      if (kind !== Kind.Leave) return;
      dismissed = true;
      process.exit(0);
    });
  },
  onPause() {},
  onLost() {},
};

function say(rank: number, kind: Kind): void {
  const { hub, mpi } = joined!;
  const message = new MessageWriter(JOB_SESSION);
  message.write(kind, mpi.rank);
  hub.connect(rank, JOB_TAG, JOB_SESSION, farewell).send(message);
}

/** µs to spin: none where there are more ranks than cores, `isolated` ones with a child each. */
export function spinOf(mpi: Mpi, isolated = false): number {
  const processes = isolated ? 2 * mpi.ranksOnHost - 1 : mpi.ranksOnHost;
  return processes > hostCores() ? 0 : SPIN_US;
}

function endJob(code: number): void {
  if (leaving || joined === null || joined.mpi.finalized) return;
  leaving = true;
  const { hub, mpi, serving } = joined;
  absent = new Set(serving);
  for (const rank of serving) say(rank, Kind.End);
  const giveUp = performance.now() + FAREWELL_MS;
  while (absent.size > 0 && performance.now() < giveUp) {
    if (!hub.poll()) mpi.wait(20, 200, 200, 2_000);
  }
  // Nobody has left yet: Open MPI's mpirun does not always survive an abort while others leave.
  // Ranks that do not serve may wait for this one in a receive of their own.
  if (absent.size > 0 || (code !== 0 && serving.size < mpi.size - 1)) abort(mpi, code);
  for (const rank of serving) say(rank, Kind.Leave);
  hub.drain();
  mpi.finalize();
}

/** A rank that has nothing more to say leaves MPI with the others. */
function leave(code: number): void {
  if (leaving || joined === null || joined.mpi.finalized) return;
  leaving = true;
  if (!dismissed && joined.onDesertion !== null) {
    joined.onDesertion(code);
    // Results are lost with it, even if it says 0; and MPICH's launcher would report a code of its own.
    abort(joined.mpi, code === 0 ? 1 : code);
  }
  // A rank that fails ends the job: to leave in order would mean to wait for the others.
  if (code !== 0) return;
  joined.hub.drain();
  joined.mpi.finalize();
}

/** ms in which the launcher reads what this rank has said last: MPICH's drops the rest on an abort. */
const LAST_WORDS_MS = 100;

function abort(mpi: Mpi, code: number): never {
  Bun.sleepSync(LAST_WORDS_MS);
  return mpi.abort(code);
}

/** The end of a process that has used bsync/mpi and no pool. */
function leaveAlone(code: number): void {
  const mpi = runningMpi();
  if (leaving || mpi === null || mpi.finalized) return;
  leaving = true;
  // The others may wait for what it has not sent.
  if (code !== 0 && mpi.size > 1) abort(mpi, code);
  mpi.finalize();
}

/** BSYNC_CHUNK_BYTES: the longest message of a pool; 1 GiB where it is not set. */
export function chunkBytes(): number {
  const { BSYNC_CHUNK_BYTES: text } = process.env;
  if (text === undefined || text === "") return 2 ** 30;
  const bytes = Number(text);
  if (Number.isInteger(bytes) && bytes >= 1 && bytes < 2 ** 31) return bytes;
  throw new RangeError(
    `Cannot use BSYNC_CHUNK_BYTES=${text}: it must be a whole number of bytes from 1 to 2147483647`,
  );
}

/** Cores of the machine; a rank that is bound to one of them sees no more than that one otherwise. */
function hostCores(): number {
  return Math.max(cpus().length, availableParallelism());
}
