import type { Mpi } from "../../mpi/mpi.ts";
import { sharesPids } from "../../os/identity.ts";
import { own, performance } from "../../os/natives.ts";
import {
  type StatusPage,
  type StatusPageOffer,
  closeStatusPage,
  findStatusPage,
  createStatusPage,
} from "./status-page.ts";
import type { Link, LinkOwner } from "../link.ts";
import { MpiOutbox } from "./outbox.ts";
import { Activity } from "../../wire/task-id.ts";
import type { Greeting } from "../../wire/greeting.ts";
import { isMalformed, MESSAGE_BYTES } from "../../wire/layout.ts";
import { allocate, readHead } from "../../wire/reader.ts";
import type { MessageWriter } from "../../wire/writer.ts";

/**
 * The links of one rank to others: each is a pair of peer and tag, all on one communicator.
 *
 * A message travels as one MPI message, each buffer behind it as one more (or several, of at most
 * `chunkBytes`), on the same tag, so that MPI's own ordering (section 3.5 of the standard: messages
 * between two processes do not overtake) tells which is which: the head says how many follow, and
 * their receives are posted before anything else of that peer is looked at.
 */
export class MpiHub {
  readonly mpi: Mpi;
  readonly #chunkBytes: number;
  readonly #accept: (source: number, tag: number, session: number) => RankLink | null;
  readonly #links = new Map<number, RankLink>();
  readonly #status = new Int32Array(new ArrayBuffer(12));
  /**
   * Those that are under way, outermost first: a task that a message has started may poll in turn
   * (`getSync`).
   */
  readonly #polls: Poll[] = [];
  #depth = 0;
  /**
   * Where something is on its way out, by the keys of their links: a link that takes another one's
   * place goes on behind it.
   */
  readonly #sending = new Map<number, MpiOutbox>();
  /** Since when something has been on its way out without a break. */
  #sendingSince = 0;
  /** Links whose owners wait for that to leave. */
  readonly #holding = new Set<RankLink>();
  /** Memory of sent messages, for the next ones. */
  readonly #spare: Uint8Array[] = [];
  /** Links with something on its way in. */
  readonly #receiving = new Set<RankLink>();
  /** The last look found a message. */
  #flows = false;

  /** `accept` is asked for a link when a message comes for a session there is none of. */
  constructor(
    mpi: Mpi,
    chunkBytes: number,
    accept: (source: number, tag: number, session: number) => RankLink | null,
  ) {
    this.mpi = mpi;
    this.#chunkBytes = chunkBytes;
    this.#accept = accept;
  }

  /** A link to `peer` on `tag`; the one that was there before is closed. */
  connect(peer: number, tag: number, session: number, owner: LinkOwner): RankLink {
    const key = this.#key(peer, tag);
    this.#links.get(key)?.close();
    const link = new RankLink(this, peer, tag, session, owner);
    this.#links.set(key, link);
    return link;
  }

  disconnect(link: RankLink): void {
    const key = this.#key(link.rank, link.tag);
    if (this.#links.get(key) === link) this.#links.delete(key);
  }

  /** Whether something is on its way in or out: MPI moves it only while it is asked. */
  get busy(): boolean {
    return this.#sending.size > 0 || this.#receiving.size > 0;
  }

  /** Whether something is on its way out. */
  get sending(): boolean {
    return this.#sending.size > 0;
  }

  /** Closes all links but those of one tag. */
  closeAllBut(tag: number): void {
    for (const link of [...this.#links.values()]) if (link.tag !== tag) link.close();
  }

  /**
   * Whether a call on that link is to wait until what was sent has left: all of its own, for its
   * controller waits for that; and for some time that of others, which may be asleep, or not look
   * for messages.
   */
  mustFlush({ outbox }: RankLink): boolean {
    if (!outbox.empty) return true;
    return this.#sending.size > 0 && performance.now() - this.#sendingSince < HOLD_MS;
  }

  /** Tells a link, when it is not to wait any more. */
  hold(link: RankLink): void {
    this.#holding.add(link);
  }

  /** Takes in all that has come, and moves what is on its way. True if anything did. */
  poll(): boolean {
    const poll = (this.#polls[this.#depth++] ??= newPoll());
    try {
      const moved = this.#pollInto(poll.buffer);
      while (poll.deliveredTo.length > 0)
        for (const link of poll.deliveredTo.splice(0)) link.pause();
      return moved;
    } finally {
      this.#depth--;
    }
  }

  #pollInto(buffer: Uint8Array): boolean {
    let moved = this.#sending.size > 0 && this.#advanceSends();
    if (this.#holding.size > 0) {
      for (const link of this.#holding) {
        if (this.mustFlush(link)) continue;
        this.#holding.delete(link);
        link.go();
        moved = true;
      }
    }
    if (this.#receiving.size > 0) {
      for (const link of this.#receiving) {
        if (link.receive()) moved = true;
        if (!link.receiving) this.#receiving.delete(link);
      }
    }
    // After a pause one message is taken alone: another one seldom comes with it, and to look for
    // it takes as long as to answer. The bound is there so that a flood does not keep the caller
    // from its event loop.
    const most = this.#flows ? 64 : 1;
    this.#flows = true;
    for (let i = 0; i < most && this.#flows; i++) {
      const found = this.mpi.poll(buffer, this.#status);
      if (found > 0) this.#take(buffer, found === 2);
      this.#flows = found > 0;
      moved ||= this.#flows;
    }
    return moved;
  }

  /** A link has handed over a message. */
  heard(link: RankLink): void {
    this.#polls[this.#depth - 1]!.deliveredTo.push(link);
  }

  /** Where the link's messages go until they are sent. */
  outbox(peer: number, tag: number): MpiOutbox {
    const left = this.#sending.get(this.#key(peer, tag));
    return left ?? new MpiOutbox(this.mpi, peer, tag, this.#chunkBytes, this.#spare);
  }

  /** From now on a link has something on its way out. */
  isSending({ rank, tag, outbox }: RankLink): void {
    if (this.#sending.size === 0) this.#sendingSince = performance.now();
    this.#sending.set(this.#key(rank, tag), outbox);
  }

  /** Starts to receive the buffers of these sizes. */
  receiveBuffers(link: RankLink, sizes: readonly number[]): Arriving {
    const requests: number[] = [];
    const later: Uint8Array[] = [];
    // All of them before the first receive: if there is no memory, none is left open.
    const buffers = sizes.map((size) => allocate(size));
    for (const buffer of buffers) {
      for (let at = 0; at < buffer.length; at += this.#chunkBytes) {
        const chunk = buffer.subarray(at, Math.min(buffer.length, at + this.#chunkBytes));
        if (requests.length === RECEIVES) later.push(chunk);
        else requests.push(this.mpi.receive(chunk, chunk.length, link.rank, link.tag));
      }
    }
    return { requests, buffers, later: later.reverse() };
  }

  #advanceSends(): boolean {
    let moved = false;
    for (const [key, outbox] of this.#sending) {
      if (outbox.advance()) moved = true;
      if (outbox.torn.length > 0)
        for (const buffer of outbox.torn.splice(0)) this.#links.get(key)?.tear(buffer);
      if (!outbox.empty) continue;
      this.#sending.delete(key);
      this.#links.get(key)?.sent();
    }
    return moved;
  }

  #take(buffer: Uint8Array, large: boolean): void {
    const source = this.#status[0]!;
    const tag = this.#status[1]!;
    const length = this.#status[2]!;
    // Pieces are due to a link that was closed, too, and before those of the one in its place.
    for (const link of this.#receiving) {
      const isIts = link.rank === source && link.tag === tag;
      if (isIts && link.takePiece(buffer, length, large)) return;
    }
    if (large) {
      // One that is longer than any message has to be taken all the same, or it stays the next one.
      const memory = length > MESSAGE_BYTES ? new Uint8Array(length) : buffer;
      const request = this.mpi.receive(memory, length, source, tag);
      // The sender has posted it and keeps MPI going until it is taken: some µs.
      while (!this.mpi.test(request));
    }
    let link = this.#links.get(this.#key(source, tag));
    const head = readHeadOrNull(buffer, length);
    if (head === null) return link?.fail();
    const { session, sizes } = head;
    if (link === undefined || link.session !== session) {
      link =
        this.#accept(source, tag, session) ?? new RankLink(this, source, tag, session, NO_OWNER);
    }
    try {
      link.arrive(buffer, length, sizes);
    } catch (error) {
      // There is no memory for what it announces.
      if (!isMalformed(error)) throw error;
      link.fail();
    }
    if (link.receiving) this.#receiving.add(link);
  }

  #key(peer: number, tag: number): number {
    return tag * this.mpi.size + peer;
  }
}

/**
 * The signal that wakes a rank of the same machine: MPI has no descriptor to sleep on. It cuts a
 * nap short, and turns an event loop; a process that does not listen ignores it (signal(7)).
 */
export const DOORBELL_SIGNAL = "SIGURG";

function ring(pid: number): void {
  try {
    own.kill(pid, DOORBELL_SIGNAL);
  } catch {
    // It is gone, or not ours to wake: it will look for itself, if it is there.
  }
}

function readHeadOrNull(bytes: Uint8Array, length: number): ReturnType<typeof readHead> | null {
  try {
    return readHead(bytes, length);
  } catch (error) {
    if (isMalformed(error)) return null;
    throw error;
  }
}

/**
 * ms for which a call waits until the answers of other pools have left. A large one takes some ms.
 */
const HOLD_MS = 50;

interface Poll {
  /** What messages are received into. */
  readonly buffer: Uint8Array;
  /** Links that have handed over a message, and are to be told when that was all. */
  readonly deliveredTo: RankLink[];
}

function newPoll(): Poll {
  return { buffer: new Uint8Array(new ArrayBuffer(MESSAGE_BYTES)), deliveredTo: [] };
}

/** Receives of one message's buffers that are posted at once; MPI looks through them one by one. */
const RECEIVES = 64;

/** What has no owner any more is received all the same, and dropped. */
const NO_OWNER: LinkOwner = { onMessage() {}, onPause() {}, onLost() {} };

interface Arriving {
  readonly requests: number[];
  readonly buffers: Uint8Array[];
  /**
   * Pieces that no receive was posted for: they are received when they show, the last one first.
   */
  readonly later: Uint8Array[];
}

interface Arrival extends Arriving {
  readonly bytes: Uint8Array;
}

/** A link to one rank under one tag. */
export class RankLink implements Link {
  readonly rank: number;
  readonly tag: number;
  readonly session: number;
  readonly outbox: MpiOutbox;
  readonly #hub: MpiHub;
  #owner: LinkOwner;
  /** Messages whose buffers are on their way, and those that came after them. */
  readonly #inbox: Arrival[] = [];

  /** How to wake the other side, where it is a process of this machine. */
  #ringsDoorbell: { readonly pid: number; readonly spinMs: number } | null = null;
  /**
   * Where this rank, as a worker, tells what it is at, and where another one tells this; null
   * between machines.
   */
  #statusPage: StatusPage | null = null;
  #peerStatus: StatusPage | null = null;
  /** The memory of `#statusPage`, while the other side may not have found it. */
  #offer: StatusPageOffer | null = null;
  #received = 0;
  /** Messages that were sent, and that were handed over. */
  #sent = 0;
  #handedOver = 0;
  /** To be told once all has been sent. */
  #nothingNext = false;
  /** False between a message and the end of its poll. */
  #paused = true;
  #lastMessage = 0;
  /** The link was silent for so long that the other side may have fallen asleep, or be about to. */
  #mayDoze = false;

  constructor(hub: MpiHub, rank: number, tag: number, session: number, owner: LinkOwner) {
    this.#hub = hub;
    this.rank = rank;
    this.tag = tag;
    this.session = session;
    this.outbox = hub.outbox(rank, tag);
    this.#owner = owner;
  }

  get receiving(): boolean {
    return this.#inbox.length > 0;
  }

  send(message: MessageWriter): void {
    if (this.#owner === NO_OWNER) return;
    this.#statusPage?.tellSent(++this.#sent);
    this.outbox.send(message);
    if (!this.outbox.empty) this.#hub.isSending(this);
    this.prewake();
  }

  prewake(): void {
    if (this.#ringsDoorbell === null) return;
    this.#hear(performance.now());
    if (this.#mayDoze) ring(this.#ringsDoorbell.pid);
    this.#mayDoze = false;
  }

  /** On a rank that serves: makes the memory that it shares with a controller of this machine. */
  offerStatusPage(): StatusPageOffer | null {
    const made = this.#ringsDoorbell === null ? null : createStatusPage();
    if (made === null) return null;
    this.#statusPage = made.statusPage;
    this.#offer = made.offer;
    return this.#offer;
  }

  report(at: number): boolean {
    if (this.#statusPage === null) return true;
    // Who sends a task has found it.
    if (this.#offer !== null && at < Activity.Loading && at !== Activity.Idle) this.#closeOffer();
    // Not before its answer has left: should something hold this rank now, it was begun.
    this.#nothingNext = at === Activity.Idle && !this.outbox.empty;
    return this.#nothingNext || this.#statusPage.taskWord.report(at);
  }

  /** The memory of a buffer that is being sent is gone. */
  tear(buffer: Uint8Array): void {
    this.#owner.onTorn?.(buffer);
  }

  /** All that was on its way out has left. */
  sent(): void {
    if (this.#nothingNext) this.report(Activity.Idle);
  }

  resume(recall: number): void {
    this.#statusPage?.taskWord.resume(recall);
  }

  get currentTask(): number | undefined {
    return this.#peerStatus?.taskWord.currentTask;
  }

  recall(): number {
    return this.#peerStatus?.taskWord.recall() ?? 0;
  }

  get isSeen(): boolean {
    return this.#peerStatus !== null;
  }

  get isCaughtUp(): boolean {
    return this.#peerStatus?.sent === this.#handedOver >>> 0;
  }

  get received(): number {
    return this.#received;
  }

  get reading(): number | null {
    return this.#peerStatus?.reading ?? null;
  }

  meet(other: Greeting): void {
    if (!sharesPids(other)) return;
    const { pid, spinUs, statusPage } = other;
    this.#ringsDoorbell = { pid, spinMs: spinUs / 1000 };
    if (statusPage !== undefined) this.#peerStatus = findStatusPage(pid, statusPage);
  }

  /** True if the other side runs on this machine, and either can wake the other. */
  get isNear(): boolean {
    return this.#ringsDoorbell !== null;
  }

  /** Wakes the other side, awake or not. */
  ring(): void {
    if (this.#ringsDoorbell !== null) ring(this.#ringsDoorbell.pid);
  }

  poll(): boolean {
    return this.#hub.poll();
  }

  flush(): boolean {
    if (!this.#hub.mustFlush(this)) return false;
    this.#hub.hold(this);
    return true;
  }

  /** Nothing is to be waited for any more. */
  go(): void {
    this.#owner.onFlushed?.();
  }

  close(): void {
    this.#owner = NO_OWNER;
    this.#hub.disconnect(this);
    this.#closeOffer();
  }

  #closeOffer(): void {
    if (this.#offer !== null) closeStatusPage(this.#offer);
    this.#offer = null;
  }

  #hear(now: number): void {
    if (now - this.#lastMessage >= this.#ringsDoorbell!.spinMs) this.#mayDoze = true;
    this.#lastMessage = now;
  }

  /** What came makes no sense: this link is of no use any more. */
  fail(): void {
    const owner = this.#owner;
    this.close();
    owner.onLost({ exitCode: null, signal: null, text: "sent what no worker sends" });
  }

  /** The hub has received a message, in memory that it will use again. */
  arrive(bytes: Uint8Array, length: number, sizes: readonly number[]): void {
    this.#received++;
    if (this.#ringsDoorbell !== null) this.#hear(performance.now());
    if (sizes.length === 0 && this.#inbox.length === 0) return this.#handOver(bytes, length, []);
    const arriving = this.#hub.receiveBuffers(this, sizes);
    this.#inbox.push({ bytes: bytes.slice(0, length), ...arriving });
  }

  /**
   * A message that no posted receive took, while pieces of a buffer are due without one: it is the
   * next of them, for messages do not overtake. False if none is due.
   */
  takePiece(memory: Uint8Array, length: number, large: boolean): boolean {
    const arrival = this.#inbox.find(({ later }) => later.length > 0);
    const piece = arrival?.later.pop();
    if (arrival === undefined || piece === undefined) return false;
    this.#received++;
    if (!large) piece.set(memory.subarray(0, Math.min(length, piece.length)));
    else arrival.requests.push(this.#hub.mpi.receive(piece, piece.length, this.rank, this.tag));
    return true;
  }

  /** Hands over what is complete, in order; true if anything was. */
  receive(): boolean {
    this.#statusPage?.read();
    let moved = false;
    for (let next = this.#inbox[0]; next !== undefined; next = this.#inbox[0]) {
      while (next.requests.length > 0 && this.#hub.mpi.test(next.requests.at(-1)!)) {
        next.requests.pop();
        this.#received++;
        this.#statusPage?.read();
        moved = true;
      }
      if (next.requests.length > 0 || next.later.length > 0) break;
      this.#inbox.shift();
      this.#handOver(next.bytes, next.bytes.length, next.buffers);
    }
    return moved;
  }

  /** All that had arrived was handed over. */
  pause(): void {
    this.#paused = true;
    this.#owner.onPause();
  }

  #handOver(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    this.#handedOver++;
    if (this.#paused) this.#hub.heard(this);
    this.#paused = false;
    try {
      this.#owner.onMessage(bytes, length, buffers);
    } catch (error) {
      if (!isMalformed(error)) throw error;
      this.fail();
    }
  }
}
