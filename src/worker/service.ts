import type { MpiHub } from "../link/mpi/hub.ts";
import { isForWorker, wireTag } from "../job/membership.ts";
import { PROGRAM_OVER } from "../os/exit.ts";
import { sendFrame } from "../link/mpi/rank-frames.ts";
import { Kind, type Released } from "../wire/frames.ts";
import { exitProcess } from "../os/processes.ts";
import { guarded } from "./ignored-signals.ts";
import { ChildRelay } from "./relay.ts";
import { Session } from "./session.ts";
import { Activity } from "../wire/task-id.ts";
import { firstKind } from "../wire/reader.ts";
import type { RankLink } from "../link/mpi/rank.ts";

/** What a service needs of its rank. */
export interface RankHost {
  readonly hub: MpiHub;
  /**
   * True while the rank waits in `open`: else its thread is the program's, and messages are kept.
   */
  readonly isServing: boolean;
  /**
   * True while it still waits, but only for the remains of pools that are over: it is about to go
   * on.
   */
  readonly isParting: boolean;
  /** µs for which a session, or a relay, announces that it looks for messages before it sleeps. */
  readonly spinUs: { readonly session: number; readonly relay: number };
  /** Called with the controller when a pool has come to this rank. */
  onPool(controller: number): void;
  /** Wakes the rank: a child has sent something, or has ended. */
  wake(): void;
}

interface Message {
  readonly bytes: Uint8Array;
  readonly buffers: Uint8Array[];
}

/**
 * A rank's part in one pool: it runs the session itself, or relays for a child's where the pool is
 * isolated. The first message says which.
 */
class PoolService {
  readonly link: RankLink;
  served: Session | ChildRelay | null = null;
  readonly #host: RankHost;
  readonly #services: PoolServices;
  /** Messages that came while the rank did not serve. */
  #kept: Message[] = [];

  constructor(
    host: RankHost,
    services: PoolServices,
    source: number,
    tag: number,
    session: number,
  ) {
    this.#host = host;
    this.#services = services;
    this.link = host.hub.connect(source, tag, session, {
      onMessage: (bytes, length, buffers) => guarded(() => this.#receive(bytes, length, buffers)),
      onPause: () => guarded(() => this.served?.answer()),
      onFlushed: () => guarded(() => this.served?.onFlushed()),
      onLost: ({ text }) => {
        process.stderr.write(`bsync: rank ${host.hub.mpi.rank}: rank ${source} ${text}\n`);
        exitProcess(1);
      },
    });
  }

  /** The rank serves again. */
  resume(): void {
    for (const { bytes, buffers } of this.#kept.splice(0)) {
      this.#receive(bytes, bytes.length, buffers);
    }
    this.served?.answer();
  }

  /** Ends it without a message. A child has a moment to end by itself. */
  abandon(): void {
    if (this.served === null) this.detach();
    else this.served.abandon();
  }

  /** This process is at its end: the controller is sent that. */
  shutDown(): void {
    if (this.served === null) this.resume();
    else this.served.shutDown();
  }

  detach(): void {
    this.link.close();
    this.#services.remove(this);
  }

  #receive(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    const { isServing, isParting } = this.#host;
    // A pool that is opened meanwhile is for the next `open`, if the program comes to one.
    const isEarly = !isServing || (isParting && this.served === null);
    if (isEarly && !this.#services.isOver) {
      this.#kept.push({ bytes: bytes.slice(0, length), buffers });
    } else if (this.served !== null) {
      this.served.receive(bytes, length, buffers);
    } else {
      const kind = firstKind(bytes, length);
      if (this.#services.isOver) this.#refuse(kind);
      else if (kind === Kind.Spawn) this.#relay(bytes, length);
      else if (kind === Kind.Open) this.#serve(bytes, length, buffers);
      // A late message for a child that is gone.
      else this.detach();
    }
  }

  #serve(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    const { session, rank } = this.link;
    const served = new Session(session, this.#host.spinUs.session, () => this.detach());
    this.served = served;
    served.serve(this.link);
    this.#host.onPool(rank);
    served.receive(bytes, length, buffers);
  }

  /** A controller that opens a pool here comes too late. */
  #refuse(kind: number): void {
    if (kind === Kind.Spawn) {
      sendFrame(this.link, Kind.Lost, 0, { ...PROGRAM_OVER, currentTask: Activity.Idle });
    } else if (kind === Kind.Open) {
      sendFrame(this.link, Kind.Closed, 0);
    }
    this.detach();
  }

  #relay(bytes: Uint8Array, length: number): void {
    const { rank, size } = this.#host.hub.mpi;
    const relay = new ChildRelay(this.link, this.#host.spinUs.relay, () => {
      this.detach();
      this.#host.wake();
    });
    this.served = relay;
    this.#services.relays.add(relay);
    this.#host.onPool(this.link.rank);
    relay.start(bytes, length, { rank, size }, () => this.#host.wake());
  }
}

/** A rank's part in all pools, which differ by their controllers and tags. */
export class PoolServices {
  /** Those of isolated pools. */
  readonly relays = new Set<ChildRelay>();
  readonly #host: RankHost;
  readonly #all = new Set<PoolService>();
  #isOver = false;

  constructor(host: RankHost) {
    this.#host = host;
  }

  /** Makes the link for a message of a new session; null for a late message of one that is over. */
  accept(source: number, tag: number, session: number): RankLink | null {
    if (!isForWorker(source, this.#host.hub.mpi.rank, tag)) return null;
    this.#find(source, tag)?.abandon();
    const service = new PoolService(this.#host, this, source, tag, session);
    this.#all.add(service);
    return service.link;
  }

  /** This process is at its end: nothing more is done for any pool. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Ends all: controllers that still count on this rank are sent that. */
  shutDown(): void {
    this.#isOver = true;
    for (const service of [...this.#all]) service.shutDown();
  }

  /** No controller wants anything more of this rank, nor any message. */
  abandonAll(): void {
    for (const service of [...this.#all]) service.abandon();
  }

  /** A service has come to its end. */
  remove(service: PoolService): void {
    this.#all.delete(service);
    if (service.served instanceof ChildRelay) this.relays.delete(service.served);
  }

  /** A pool is over: its remains here end. */
  release(source: number, { tag, before }: Released): void {
    const service = this.#ofPool(source, tag);
    if (service === undefined || service.link.session >= before) return;
    if (service.served instanceof ChildRelay) service.served.endChild();
    else service.abandon();
  }

  /** Whether a child still works for that pool. */
  hasChild(source: number, { tag, before }: Released): boolean {
    const service = this.#ofPool(source, tag);
    return service?.served instanceof ChildRelay && service.link.session < before;
  }

  /** The rank serves again: kept messages are handled. */
  resume(): void {
    for (const service of [...this.#all]) {
      this.#host.onPool(service.link.rank);
      service.resume();
    }
  }

  /** True if every controller with a pool here can wake this rank. */
  get areNear(): boolean {
    if (this.#all.size === 0) return false;
    for (const { link } of this.#all) if (!link.isNear) return false;
    return true;
  }

  /** Whether an asynchronous call runs, for which the event loop has to turn. */
  get waiting(): boolean {
    for (const { served } of this.#all)
      if (served instanceof Session && served.waiting) return true;
    return false;
  }

  /** Receives the children's messages; true if any came. */
  pollChildren(): boolean {
    let moved = false;
    for (const relay of this.relays) if (relay.poll()) moved = true;
    return moved;
  }

  #ofPool(controller: number, tag: number): PoolService | undefined {
    return this.#find(controller, wireTag(controller, this.#host.hub.mpi.rank, tag));
  }

  #find(source: number, tag: number): PoolService | undefined {
    for (const service of this.#all) {
      if (service.link.rank === source && service.link.tag === tag) return service;
    }
    return undefined;
  }
}
