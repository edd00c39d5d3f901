import { NO_OWNER, type RankHub, RankLink } from "./rank.ts";
import type { Mpi } from "../../mpi/mpi.ts";
import { performance } from "../../os/natives.ts";
import type { LinkOwner } from "../link.ts";
import { MpiOutbox } from "./outbox.ts";
import { isMalformed, MESSAGE_BYTES } from "../../wire/frame-layout.ts";
import { readHead } from "../../wire/reader.ts";

/**
 * The links of one rank to others: each is a pair of peer and tag, all on one communicator.
 *
 * A message travels as one MPI message, each buffer behind it as one more (or several, of at most
 * `chunkBytes`), on the same tag, so that MPI's own ordering (section 3.5 of the standard: messages
 * between two processes do not overtake) tells which is which: the head says how many follow, and
 * their receives are posted before anything else of that peer is looked at.
 */
export class MpiHub implements RankHub {
  readonly mpi: Mpi;
  /** Bytes of a piece of a buffer, at most. */
  readonly chunkBytes: number;
  readonly #accept: (source: number, tag: number, session: number) => RankLink | null;
  readonly #links = new Map<number, RankLink>();
  readonly #status = new Int32Array(new ArrayBuffer(12));
  /**
   * Polls under way, outermost first: a task that a message has started may poll in turn
   * (`getSync`).
   */
  readonly #polls: Poll[] = [];
  #depth = 0;
  /**
   * Outboxes with something on its way out, by the keys of their links: a link that takes another
   * one's place sends behind it.
   */
  readonly #sending = new Map<number, MpiOutbox>();
  /** Since when something has been on its way out without a break. */
  #sendingSince = 0;
  /** Links whose owners wait for earlier messages to leave. */
  readonly #holding = new Set<RankLink>();
  /** Memory of sent messages, for the next ones. */
  readonly #spare: Uint8Array[] = [];
  /** Links with something on its way in. */
  readonly #receiving = new Set<RankLink>();
  /** The last look found a message. */
  #flows = false;

  /** `accept` is asked for a link when a message of a session without one comes. */
  constructor(
    mpi: Mpi,
    chunkBytes: number,
    accept: (source: number, tag: number, session: number) => RankLink | null,
  ) {
    this.mpi = mpi;
    this.chunkBytes = chunkBytes;
    this.#accept = accept;
  }

  /** A link to `peer` on `tag`; an earlier one in its place is closed. */
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
   * Whether a call on that link is to wait until earlier messages have left: all of its own, as its
   * controller waits for them; and for some time those of others, which may be asleep, or not look
   * for messages.
   */
  mustFlush({ outbox }: RankLink): boolean {
    if (!outbox.empty) return true;
    return this.#sending.size > 0 && performance.now() - this.#sendingSince < HOLD_MS;
  }

  /** Calls `go` of a link once it is not to wait any more. */
  hold(link: RankLink): void {
    this.#holding.add(link);
  }

  /** Receives all that has come, and moves all that is on its way. True if anything did. */
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
    // After a pause one message is taken alone: a second one seldom comes with it, and a look for
    // it takes as long as an answer. The bound is there so that a flood does not keep the caller
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
  onDelivered(link: RankLink): void {
    this.#polls[this.#depth - 1]!.deliveredTo.push(link);
  }

  /** Where the link's messages go until they are sent. */
  outbox(peer: number, tag: number): MpiOutbox {
    const left = this.#sending.get(this.#key(peer, tag));
    return left ?? new MpiOutbox(this.mpi, peer, tag, this.chunkBytes, this.#spare);
  }

  /** From now on a link has something on its way out. */
  isSending({ rank, tag, outbox }: RankLink): void {
    if (this.#sending.size === 0) this.#sendingSince = performance.now();
    this.#sending.set(this.#key(rank, tag), outbox);
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
    // A closed link still receives its pieces, and before the link in its place.
    for (const link of this.#receiving) {
      const isIts = link.rank === source && link.tag === tag;
      if (isIts && link.takePiece(buffer, length, large)) return;
    }
    if (large) {
      // A message that is too long has to be received all the same, or it stays the next one.
      const memory = length > MESSAGE_BYTES ? new Uint8Array(length) : buffer;
      const request = this.mpi.receive(memory, length, source, tag);
      // The sender has posted it and keeps MPI going until it is received: some µs.
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
      // There is no memory for the buffers that it announces.
      if (!isMalformed(error)) throw error;
      link.fail();
    }
    if (link.receiving) this.#receiving.add(link);
  }

  #key(peer: number, tag: number): number {
    return tag * this.mpi.size + peer;
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
  /** Links that have handed over a message: `pause` is called when that was all. */
  readonly deliveredTo: RankLink[];
}

function newPoll(): Poll {
  return { buffer: new Uint8Array(new ArrayBuffer(MESSAGE_BYTES)), deliveredTo: [] };
}
