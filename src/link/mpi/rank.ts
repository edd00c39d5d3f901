import type { Mpi } from "../../mpi/mpi.ts";
import { sharesPids } from "../../os/identity.ts";
import { performance } from "../../os/natives.ts";
import type { Greeting } from "../../wire/greeting.ts";
import { isMalformed } from "../../wire/frame-layout.ts";
import { Activity } from "../../wire/task-id.ts";
import type { MessageWriter } from "../../wire/writer.ts";
import type { ControllerEnd, LinkOwner, WorkerEnd } from "../link.ts";
import { Arrivals } from "./arrivals.ts";
import type { MpiOutbox } from "./outbox.ts";
import {
  type StatusPage,
  type StatusPageOffer,
  closeStatusPage,
  createStatusPage,
  findStatusPage,
} from "./status-page.ts";
import { unknownExit } from "../../os/exit.ts";
import { ring } from "./doorbell.ts";

/** The owner of a closed link: messages are received all the same, and dropped. */
export const NO_OWNER: LinkOwner = { onMessage() {}, onPause() {}, onLost() {} };

/** What all links of a rank share: see `hub.ts`. */
export interface RankHub {
  readonly mpi: Mpi;
  readonly chunkBytes: number;
  poll(): boolean;
  /** Where the messages of a link go until they are sent. */
  outbox(peer: number, tag: number): MpiOutbox;
  /** From now on a link has something on its way out. */
  isSending(link: RankLink): void;
  /** A link has handed over a message. */
  onDelivered(link: RankLink): void;
  /** Whether a call on that link is to wait until earlier messages have left. */
  mustFlush(link: RankLink): boolean;
  /** Calls `go` of the link once it is not to wait any more. */
  hold(link: RankLink): void;
  disconnect(link: RankLink): void;
}

/** A link to one rank under one tag. */
export class RankLink implements WorkerEnd, ControllerEnd {
  readonly rank: number;
  readonly tag: number;
  readonly session: number;
  readonly outbox: MpiOutbox;
  readonly #hub: RankHub;
  #owner: LinkOwner;
  readonly #arrivals: Arrivals;

  /** How to wake the other side, where it is a process of this machine. */
  #ringsDoorbell: { readonly pid: number; readonly spinMs: number } | null = null;
  /** Where this rank reports as a worker, and where the other side does; null between machines. */
  #statusPage: StatusPage | null = null;
  #peerStatus: StatusPage | null = null;
  /** The memory of `#statusPage`, while the other side may not have found it. */
  #offer: StatusPageOffer | null = null;
  #received = 0;
  /** Messages that were sent, and that were handed over. */
  #sent = 0;
  #handedOver = 0;
  /** The worker is idle, to be reported once all has been sent. */
  #idleNext = false;
  /** False between a message and the end of its poll. */
  #paused = true;
  #lastMessage = 0;
  /** The link was silent for so long that the other side may have fallen asleep, or be about to. */
  #mayDoze = false;

  constructor(hub: RankHub, rank: number, tag: number, session: number, owner: LinkOwner) {
    this.#hub = hub;
    this.rank = rank;
    this.tag = tag;
    this.session = session;
    this.outbox = hub.outbox(rank, tag);
    const { mpi, chunkBytes } = hub;
    this.#arrivals = new Arrivals({ mpi, chunkBytes, rank, tag }, () => this.#onPiece());
    this.#owner = owner;
  }

  get receiving(): boolean {
    return !this.#arrivals.isEmpty;
  }

  send(message: MessageWriter): void {
    if (this.#owner === NO_OWNER) return;
    this.#statusPage?.reportSent(++this.#sent);
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
    // A controller that sends a task has found it.
    if (this.#offer !== null && at < Activity.Loading && at !== Activity.Idle) this.#closeOffer();
    // Not before the task's answer has left: should this rank be held now, the task was begun.
    this.#idleNext = at === Activity.Idle && !this.outbox.empty;
    return this.#idleNext || this.#statusPage.taskWord.report(at);
  }

  /** The memory of a buffer that is being sent is gone. */
  tear(buffer: Uint8Array): void {
    this.#owner.onTorn?.(buffer);
  }

  /** All that was on its way out has left. */
  sent(): void {
    if (this.#idleNext) this.report(Activity.Idle);
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

  /** The call need not wait any more. */
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

  /** A message makes no sense: this link is of no use any more. */
  fail(): void {
    const owner = this.#owner;
    this.close();
    owner.onLost(unknownExit("sent a malformed message"));
  }

  /** The hub has received a message, in memory that it will use again. */
  arrive(bytes: Uint8Array, length: number, sizes: readonly number[]): void {
    this.#received++;
    if (this.#ringsDoorbell !== null) this.#hear(performance.now());
    if (sizes.length === 0 && this.#arrivals.isEmpty) return this.#handOver(bytes, length, []);
    this.#arrivals.push(bytes, length, sizes);
  }

  /** A message that no posted receive took; false if it is no piece of a buffer of this link. */
  takePiece(memory: Uint8Array, length: number, large: boolean): boolean {
    const isPiece = this.#arrivals.takePiece(memory, length, large);
    if (isPiece) this.#received++;
    return isPiece;
  }

  /** Hands over complete messages, in order; true if anything has come. */
  receive(): boolean {
    this.#statusPage?.read();
    let moved = false;
    for (;;) {
      if (this.#arrivals.advance()) moved = true;
      const next = this.#arrivals.takeComplete();
      if (next === undefined) return moved;
      this.#handOver(next.bytes, next.bytes.length, next.buffers);
    }
  }

  #onPiece(): void {
    this.#received++;
    this.#statusPage?.read();
  }

  /** All that had arrived was handed over. */
  pause(): void {
    this.#paused = true;
    this.#owner.onPause();
  }

  #handOver(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    this.#handedOver++;
    if (this.#paused) this.#hub.onDelivered(this);
    this.#paused = false;
    try {
      this.#owner.onMessage(bytes, length, buffers);
    } catch (error) {
      if (!isMalformed(error)) throw error;
      this.fail();
    }
  }
}
