import { mainScript, mainText } from "../function/main-script.ts";
import { DOORBELL_LOOKS, type Job, spinOf } from "../job/job.ts";
import { ChildLink } from "../link/mpi/child.ts";
import type { LinkOwner } from "../link/link.ts";
import { ProgressLoop } from "../link/progress-loop.ts";
import { JOB_TAG, wireTag } from "../job/membership.ts";
import { MpiError } from "../errors.ts";
import { jobRank, type Ranks } from "../job/ranks.ts";
import type { OpenId, Opening } from "../wire/frames.ts";
import type { BackendOwner, Backend } from "./backend.ts";
import { introduce } from "../wire/greeting.ts";
import { newSession } from "../wire/session.ts";
import type { WorkerList } from "../worker-list.ts";
import type { RankLink } from "../link/mpi/rank.ts";

/** Sends `Release` to ranks that wait, or will wait, for the end of a pool. */
export class Release {
  /** The ranks of the job to release: all others, unless the caller knows better. */
  ranks: readonly number[];
  readonly #job: Job;
  readonly #id: OpenId;
  #isSent = false;

  constructor(job: Job, among: Ranks, id: OpenId) {
    const { rank, size } = job.mpi;
    const all = among.members ?? Array.from({ length: size }, (_, i) => i);
    this.ranks = all.filter((other) => other !== rank);
    this.#job = job;
    this.#id = id;
  }

  /** Messages sent under `tag` until now are out of date. Without a tag there never was a pool. */
  send(tag = JOB_TAG): void {
    if (this.#isSent) return;
    this.#isSent = true;
    this.#job.membership.release(this.ranks, { ...this.#id, tag, before: newSession() });
  }
}

interface MpiBackendOptions {
  readonly among: Ranks;
  readonly spin: number | undefined;
  readonly isolate: boolean;
  /** Null where no rank is to be released. */
  readonly release: Release | null;
}

/** The backend of a pool in an MPI job, on its controller: one tag, and the ranks that work. */
export class MpiBackend implements Backend {
  readonly wakesBlocked = true;
  readonly yieldsBlocked = true;
  readonly session = newSession();
  readonly opening: Opening;
  readonly #job: Job;
  readonly #among: Ranks;
  readonly #ranks: WorkerList;
  readonly #tag: number;
  readonly #isolate: boolean;
  readonly #progress: ProgressLoop;
  readonly #release: Release | null;
  #owner: BackendOwner | null = null;
  #isOver = false;

  constructor(job: Job, ranks: WorkerList, tag: number, options: MpiBackendOptions) {
    const { among, spin, isolate, release } = options;
    const spinUs = spin ?? (isolate ? spinOf(job.mpi, true) : job.spinUs);
    this.#job = job;
    this.#isolate = isolate;
    this.#among = among;
    this.#ranks = ranks;
    this.#tag = tag;
    for (const rank of ranks) if (rank !== null) this.#tagTo(jobRank(among, rank));
    this.#release = release;
    this.opening = { main: mainScript(), text: mainText(), ...introduce(spinUs) };
    const source = {
      poll: () => this.poll(),
      yieldCore: () => job.mpi.yieldCore(),
      isExpecting: () => this.#owner?.isExpecting ?? false,
      arm: () => !job.hub.busy,
      disarm: () => {},
      peerSeesSleep: false,
      // Processes of this machine ring; a message from another machine is found when the nap is
      // over.
      sleepMs: (quietMs: number) => Math.min(1 + quietMs / 10, this.#owner?.isOnOneHost ? 50 : 5),
    };
    this.#progress = new ProgressLoop(source, spinUs);
    job.onDoorbell.add(this.#onDoorbell);
  }

  readonly #onDoorbell = (): void => {
    // Even if nothing is expected: an idle worker's message is that it is gone.
    this.#progress.wake(DOORBELL_LOOKS);
  };

  attach(owner: BackendOwner): void {
    this.#owner = owner;
  }

  connect(index: number, owner: LinkOwner): RankLink | ChildLink {
    const { hub } = this.#job;
    const rank = jobRank(this.#among, this.#ranks[index]!);
    const tag = this.#tagTo(rank);
    if (!this.#isolate) return hub.connect(rank, tag, this.session, owner);
    return new ChildLink(hub, rank, tag, newSession(), this.opening, owner);
  }

  #tagTo(rank: number): number {
    const { mpi } = this.#job;
    const tag = wireTag(mpi.rank, rank, this.#tag);
    if (tag <= mpi.tagLimit) return tag;
    throw new MpiError(
      `Cannot open a pool with tag ${this.#tag} on a communicator in which the job's rank ` +
        `${rank} comes behind rank ${mpi.rank}: this MPI has tags up to ${mpi.tagLimit} only; ` +
        "use a smaller tag, or keep the order",
    );
  }

  rankOf(index: number): number | null {
    return this.#ranks[index]!;
  }

  hostOf(index: number): string {
    return this.#job.mpi.hostOf(jobRank(this.#among, this.#ranks[index]!));
  }

  disconnect(): void {}

  poll(): boolean {
    return this.#job.hub.poll();
  }

  checkAlive(): void {}

  wait(ms: number): void {
    const totalUs = Math.ceil(ms * 1000);
    if (!this.#job.hub.busy) this.#job.mpi.wait({ yieldUs: 200, napUs: 100, totalUs });
  }

  wake(): void {
    this.#progress.wake();
  }

  unref(): void {
    this.#progress.unref();
  }

  close(): void {
    // After that the tag may be another pool's.
    if (this.#isOver) return;
    this.#isOver = true;
    this.#job.onDoorbell.delete(this.#onDoorbell);
    tagsInUse.delete(this.#tag);
    this.#release?.send(this.#tag);
  }
}

const tagsInUse = new Set<number>();
let lastTag = 0;

/** The tag asked for, or one that no open pool has, and no pool had lately. */
export function takeTag(wanted: number | undefined): number {
  if (wanted !== undefined) {
    if (tagsInUse.has(wanted)) {
      throw new RangeError(`Cannot open a pool with tag ${wanted}: another open pool has that tag`);
    }
    tagsInUse.add(wanted);
    return wanted;
  }
  for (let tries = 0; tries < JOB_TAG; tries++) {
    lastTag = (lastTag + 1) % JOB_TAG;
    if (tagsInUse.has(lastTag)) continue;
    tagsInUse.add(lastTag);
    return lastTag;
  }
  throw new RangeError(`Cannot open a pool: ${JOB_TAG} pools are open, and there are no more tags`);
}

/** Lets go of a tag whose pool was not opened after all. */
export function returnTag(tag: number): void {
  tagsInUse.delete(tag);
}
