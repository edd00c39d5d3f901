import type { Mpi, WaitPlan } from "../mpi/mpi.ts";
import { performance } from "../os/natives.ts";
import { FAREWELL_MS } from "../os/waits.ts";
import { Kind, type Released } from "../wire/frames.ts";
import { readContent, sendFrame } from "../link/mpi/rank-frames.ts";
import type { LinkOwner } from "../link/link.ts";
import type { MpiHub } from "../link/mpi/hub.ts";
import { type Frame, readFrames } from "../wire/reader.ts";
import type { RankLink } from "../link/mpi/rank.ts";

/**
 * Who serves whom in an MPI job, and how a process leaves it.
 *
 *   rank → controller   Join: it waits in `open`, and polls        ShutdownAck: it listens
 *                       Depart: it goes on with its program
 *   controller → rank   Shutdown: the program is over; does the rank listen?   Dismiss: it may go
 *                       Release: a pool is over; the ranks that wait for that go on
 *
 * A process at its end dismisses the ranks that serve it, and then naps until all others have
 * reached theirs; a rank that comes to `open` only now is dismissed at once. So a rank never waits
 * for a controller that is gone, and MPI_Finalize, in which nobody polls, waits for nobody.
 */

/** The tag of the job's own messages: the highest that MPI guarantees. Lower tags are for pools. */
export const JOB_TAG = 32_767;

/**
 * The tag of a pool's messages between its controller and a worker, given by their job ranks: two
 * ranks may be workers of each other, in pools that happen to have the same tag.
 */
export function wireTag(controller: number, worker: number, tag: number): number {
  return controller < worker ? tag : JOB_TAG + 1 + tag;
}

/** Whether a message of `tag` goes from a controller to a worker. */
export function isForWorker(source: number, rank: number, tag: number): boolean {
  return source < rank ? tag < JOB_TAG : tag > JOB_TAG;
}

/** The session of the job's own messages. */
const JOB_SESSION = 0;

/** ms for receiving earlier messages: pools may be sent messages without end. */
const TAKE_IN_MS = 100;

/** For the answers of ranks, which look for messages: within µs, or when they are woken. */
const FOR_ANSWERS: WaitPlan = { spinUs: 20, yieldUs: 200, napUs: 200, totalUs: 2_000 };

/** The naps of a process that waits for the others to end, by how long it has waited. */
const NAPS: readonly { readonly waitedMs: number; readonly napUs: number }[] = [
  { waitedMs: 1_000, napUs: 5_000 },
  { waitedMs: 20, napUs: 2_000 },
  { waitedMs: 0, napUs: 200 },
];

export class Membership {
  /** Called when a controller that this rank has joined dismisses it. */
  onDismissed: (controller: number) => void = () => {};
  /** Called when a controller reports that a pool is over, even before this rank waits for it. */
  onReleased: (controller: number, released: Released) => void = () => {};
  /** Called when this process reaches its end, while it still communicates. */
  onShutDown: () => void = () => {};
  /** Called when all processes have reached their ends, and MPI has ended here. */
  onOver: () => void = () => {};
  /** While this rank serves: called before its process ends undismissed. */
  onDesertion: ((code: number) => void) | null = null;
  readonly #mpi: Mpi;
  readonly #hub: MpiHub;
  readonly #links = new Map<number, RankLink>();
  /** Ranks that serve this one. */
  readonly #serving = new Set<number>();
  /** Controllers that this rank has joined, and that have not dismissed it. */
  readonly #joined = new Set<number>();
  /** Ranks whose `ShutdownAck` is awaited at the end. */
  readonly #absent = new Set<number>();
  #state: "running" | "parting" | "dismissing" = "running";

  constructor(mpi: Mpi, hub: MpiHub) {
    this.#mpi = mpi;
    this.#hub = hub;
  }

  /** The link for the job's messages with a rank. */
  link(rank: number): RankLink {
    let link = this.#links.get(rank);
    if (link === undefined) {
      const owner: LinkOwner = {
        onMessage: (bytes, length, buffers) =>
          readFrames(bytes, length, buffers, (frame) => this.#take(rank, frame)),
        onPause() {},
        onLost() {},
      };
      link = this.#hub.connect(rank, JOB_TAG, JOB_SESSION, owner);
      this.#links.set(rank, link);
    }
    return link;
  }

  /**
   * This rank serves a controller from now on, until the controller dismisses it, or it departs.
   */
  join(controller: number): void {
    if (this.#joined.has(controller)) return;
    this.#joined.add(controller);
    this.#send(controller, Kind.Join);
  }

  /** This rank stops serving and goes on with its program. */
  depart(): void {
    for (const controller of this.#joined) this.#send(controller, Kind.Depart);
    this.#joined.clear();
  }

  /**
   * Tells ranks that a pool is over: those that wait for it, and those that have not come to its
   * `open` yet.
   */
  release(ranks: readonly number[], released: Released): void {
    for (const rank of ranks) sendFrame(this.link(rank), Kind.Release, 0, released);
  }

  /** True while a controller may still want this rank. */
  get isWanted(): boolean {
    return this.#joined.size > 0;
  }

  /**
   * This process's part in the end of the job, in its `exit` event. Does not return if it aborts.
   */
  shutDown(code: number): void {
    if (this.#state !== "running") return;
    this.#state = "parting";
    if (this.onDesertion !== null) {
      this.onDesertion(code);
      // Results are lost even with code 0; and MPICH's launcher would report another code.
      this.#mpi.abort(code === 0 ? 1 : code);
    }
    this.onShutDown();
    this.#hub.closeAllBut(JOB_TAG);
    const giveUp = performance.now() + TAKE_IN_MS;
    while (this.#hub.poll() && performance.now() < giveUp);
    this.#dismiss(code);
    this.#partTogether();
    this.#mpi.finalize();
    this.onOver();
  }

  /**
   * Dismisses the serving ranks once all of them listen: Open MPI's mpirun does not always survive
   * an abort while others leave.
   */
  #dismiss(code: number): void {
    for (const rank of this.#serving) {
      this.#absent.add(rank);
      this.#send(rank, Kind.Shutdown);
    }
    const giveUp = performance.now() + FAREWELL_MS;
    while (this.#absent.size > 0 && performance.now() < giveUp) {
      if (!this.#hub.poll()) this.#mpi.wait(FOR_ANSWERS);
    }
    // A stuck rank must not hold the others. A rank that does not serve may wait, in a program that
    // has failed, for a message that this one has not sent.
    const others = this.#mpi.size - 1;
    if (this.#absent.size > 0 || (code !== 0 && this.#serving.size < others)) this.#mpi.abort(code);
    this.#state = "dismissing";
    for (const rank of this.#serving) this.#send(rank, Kind.Dismiss);
  }

  #partTogether(): void {
    const start = performance.now();
    for (let isOver = false; !isOver;) {
      const moved = this.#hub.poll();
      // Leave only once all was received: nobody polls afterwards.
      if (!this.#hub.sending) isOver = this.#mpi.leave();
      if (moved || isOver) continue;
      const waited = performance.now() - start;
      const { napUs } = NAPS.find(({ waitedMs }) => waited >= waitedMs)!;
      this.#mpi.wait({ napUs, totalUs: napUs });
    }
    while (this.#hub.poll());
  }

  #take(source: number, frame: Frame): void {
    switch (frame.kind) {
      case Kind.Join:
        this.#serving.add(source);
        if (this.#state === "dismissing") this.#send(source, Kind.Dismiss);
        return;
      case Kind.Depart:
        this.#serving.delete(source);
        this.#absent.delete(source);
        return;
      case Kind.ShutdownAck:
        this.#absent.delete(source);
        return;
      case Kind.Release:
        return this.onReleased(source, readContent(frame) as Released);
      case Kind.Shutdown:
        return this.#send(source, Kind.ShutdownAck);
      case Kind.Dismiss:
        if (this.#joined.delete(source)) this.onDismissed(source);
    }
  }

  #send(rank: number, kind: Kind): void {
    sendFrame(this.link(rank), kind, 0);
  }
}
