import type { BsyncError } from "../../errors.ts";
import type { LinkOwner, ControllerEnd, WorkerEnd } from "../link.ts";
import { Piece, RingBuffer, RING_HEADER } from "./ring-buffer.ts";
import { Activity } from "../../wire/task-id.ts";
import { isMalformed, MESSAGE_BYTES } from "../../wire/frame-layout.ts";
import { allocate, readHead } from "../../wire/reader.ts";
import type { MessageWriter } from "../../wire/writer.ts";

/**
 * A link through memory that two processes of one machine share: a ring each way. Buffers that
 * follow a message go through the same ring, in pieces. Records without room wait here, in order.
 *
 * A side that has nothing to do says so in the memory, looks once more, and sleeps; a writer that
 * finds the other side asleep rings its doorbell. Both are sequentially consistent, so that either
 * the sleeper's last look finds what was written, or the writer finds it asleep.
 */

/** Bytes of a ring: some messages of full length, and little enough to stay in a core's cache. */
const RING_BYTES = 512 * 1024;

/**
 * The most of a buffer that goes into one record: the reader copies one while the next is written.
 */
const PIECE_BYTES = 128 * 1024;

/** What two sides share: a ring from the first to the second, and one back. */
export const SHARED_BYTES = 2 * (RING_HEADER + RING_BYTES);

interface OutgoingMessage {
  readonly kind: number;
  readonly bytes: Uint8Array;
  /** Its length when it was sent: the program may have taken the memory away since. */
  readonly size: number;
  /** How much of it was written. */
  done: number;
}

/** Sent in the place of memory that is gone. */
const ZEROS = new Uint8Array(PIECE_BYTES);

/** A message whose buffers are on their way. */
interface IncomingMessage {
  readonly bytes: Uint8Array;
  readonly sizes: readonly number[];
  /** Each is made when its first bytes are there: an announcement alone costs no memory. */
  readonly buffers: Uint8Array[];
  /** The buffer that is being filled, and how far. */
  index: number;
  done: number;
}

export class SharedLink implements WorkerEnd, ControllerEnd {
  readonly rank = null;
  readonly #out: RingBuffer;
  readonly #in: RingBuffer;
  readonly #ringDoorbell: () => void;
  readonly #onBacklog: () => void;
  #owner: LinkOwner;
  readonly #outbox: OutgoingMessage[] = [];
  #incoming: IncomingMessage | null = null;
  #closed = false;
  /** An error in the memory, found while writing; the next poll reports it. */
  #broken: BsyncError | null = null;
  /**
   * Buffers that are being sent though their memory is gone: the one to be reported to the owner,
   * and the last one.
   */
  #torn: OutgoingMessage | null = null;
  #lastTorn: OutgoingMessage | null = null;
  /** The worker is idle, to be reported once the outbox is empty. */
  #idleNext = false;
  /** The owner waits for all of the outbox to leave. */
  #holds = false;

  /**
   * `side` 0 is the controller's, 1 the worker's. `ringDoorbell` wakes the other one; `onBacklog`
   * is called when something had to be left for later: this side has to be awake then.
   */
  constructor(
    memory: Uint8Array,
    side: 0 | 1,
    owner: LinkOwner,
    ringDoorbell: () => void,
    onBacklog: () => void,
  ) {
    const half = memory.length / 2;
    const rings = [
      new RingBuffer(memory.subarray(0, half)),
      new RingBuffer(memory.subarray(half)),
    ] as const;
    this.#out = rings[side];
    this.#in = rings[side === 0 ? 1 : 0];
    this.#owner = owner;
    this.#ringDoorbell = ringDoorbell;
    this.#onBacklog = onBacklog;
  }

  send(message: MessageWriter): void {
    const { bytes, length, buffers } = message.take();
    if (this.#closed) return;
    if (this.#outbox.length > 0 || !this.#write(Piece.Message, bytes, 0, length)) {
      this.#leave(Piece.Message, bytes.slice(0, length));
    }
    for (const bytes of buffers) {
      if (bytes.length > 0) this.#leave(Piece.Buffer, bytes);
    }
    if (this.#outbox.length > 0) this.#push();
    if (this.#out.takeAsleep()) this.#ringDoorbell();
    if (this.#outbox.length > 0) this.#onBacklog();
  }

  #leave(kind: number, bytes: Uint8Array): void {
    this.#outbox.push({ kind, bytes, size: bytes.length, done: 0 });
  }

  /** Needless: a side that wakes early finds nothing, and a record wakes it anyway. */
  prewake(): void {}

  poll(): boolean {
    if (this.#broken !== null) {
      if (this.#closed) return false;
      this.#fail(this.#broken.message);
      return true;
    }
    let moved = this.#outbox.length > 0 && this.#push();
    if (this.#torn !== null) {
      const { bytes } = this.#torn;
      this.#owner.onTorn?.(bytes);
      this.#torn = null;
      moved = true;
    }
    if (this.#holds && this.#outbox.length === 0) {
      this.#holds = false;
      this.#owner.onFlushed?.();
    }
    let taken = false;
    // A bound, so that a flood does not keep the caller from its event loop.
    for (let i = 0; i < 64 && !this.#closed; i++) {
      try {
        if (!this.#in.read(this.#take)) break;
      } catch (error) {
        if (!isMalformed(error)) throw error;
        this.#fail(error.message);
        return true;
      }
      taken = true;
    }
    if (taken) this.#owner.onPause();
    moved ||= taken;
    if (moved && this.#in.takeWaiting()) this.#ringDoorbell();
    return moved;
  }

  flush(): boolean {
    this.#holds = this.#outbox.length > 0;
    return this.#holds;
  }

  report(at: number): boolean {
    // Not before its answer is in the ring: should this process end now, the task is lost with it.
    this.#idleNext = at === Activity.Idle && this.#outbox.length > 0;
    return this.#idleNext || this.#out.taskWord.report(at);
  }

  resume(recall: number): void {
    this.#out.taskWord.resume(recall);
  }

  get currentTask(): number {
    return this.#in.taskWord.currentTask;
  }

  recall(): number {
    return this.#in.taskWord.recall();
  }

  get reading(): number | null {
    return this.#outbox.length > 0 && this.#out.drained ? null : this.#out.position;
  }

  get received(): number {
    return this.#in.position;
  }

  /** Whether there is anything that the other side has not read. */
  get unread(): boolean {
    return this.#outbox.length > 0 || !this.#out.drained;
  }

  /** Whether all was read that the other side has written until now. */
  get isCaughtUp(): boolean {
    return !this.#in.readable && this.#incoming === null;
  }

  meet(): void {}

  close(): void {
    this.#closed = true;
    this.#outbox.length = 0;
    this.#torn = null;
    this.#lastTorn = null;
  }

  /**
   * This side is about to sleep; false if there is something to do after all. When it returns
   * true, the doorbell will be rung.
   */
  arm(): boolean {
    this.#in.sleep(true);
    if (this.#outbox.length > 0) this.#out.wait(true);
    // A held call may go on once the outbox is empty, and only a poll resumes it.
    const moved = this.#outbox.length > 0 ? this.#push() : this.#holds;
    if (!moved && !this.#in.readable && this.#broken === null) return true;
    this.disarm();
    return false;
  }

  /** This side does not sleep any more. */
  disarm(): void {
    this.#in.sleep(false);
  }

  /** Writes records that wait, as far as there is room; true if any were written. */
  #push(): boolean {
    let moved = false;
    for (let next = this.#outbox[0]; next !== undefined; next = this.#outbox[0]) {
      if (next.bytes.length !== next.size && !this.#tear(next)) break;
      const left = next.size - next.done;
      const length =
        next.kind === Piece.Message ? left : this.#longest(Math.min(left, PIECE_BYTES));
      // A short piece, only because the ring is nearly full, would cost as much as a long one.
      if (length < left && length < PIECE_BYTES / 4) break;
      const isTorn = next.bytes.length !== next.size;
      const from = isTorn ? ZEROS : next.bytes;
      if (!this.#write(next.kind, from, isTorn ? 0 : next.done, length)) break;
      moved = true;
      next.done += length;
      if (next.done === next.size) this.#outbox.shift();
    }
    if (moved && this.#out.takeAsleep()) this.#ringDoorbell();
    if (this.#idleNext && this.#outbox.length === 0) this.report(Activity.Idle);
    return moved;
  }

  /** Its memory is gone; false until a poll has reported that to the owner. */
  #tear(next: OutgoingMessage): boolean {
    if (this.#lastTorn === next) return this.#torn === null;
    this.#lastTorn = next;
    this.#torn = next;
    return false;
  }

  #write(kind: number, bytes: Uint8Array, start: number, length: number): boolean {
    try {
      return this.#out.write(kind, bytes, start, length);
    } catch (error) {
      return this.#break(error);
    }
  }

  #longest(most: number): number {
    try {
      return this.#out.longest(most);
    } catch (error) {
      this.#break(error);
      return 0;
    }
  }

  /** Not reported at once: that would call back a caller that is about to send. */
  #break(error: unknown): false {
    if (!isMalformed(error)) throw error;
    this.#broken = error;
    this.#onBacklog();
    return false;
  }

  readonly #take = (kind: number, memory: Uint8Array, start: number, length: number): void => {
    if (kind === Piece.Buffer) return this.#fill(memory, start, length);
    if (kind !== Piece.Message || this.#incoming !== null || length > 2 * MESSAGE_BYTES) {
      return this.#fail(`a record of kind ${kind} and ${length} bytes that nothing announced`);
    }
    const bytes = memory.subarray(start, start + length);
    const { sizes } = readHead(bytes, length);
    if (sizes.length === 0) return this.#owner.onMessage(bytes, length, []);
    this.#incoming = { bytes: bytes.slice(), sizes, buffers: [], index: 0, done: 0 };
    this.#complete();
  };

  #fill(memory: Uint8Array, start: number, length: number): void {
    const incoming = this.#incoming;
    const size = incoming?.sizes[incoming.index];
    if (!incoming || size === undefined || length === 0 || incoming.done + length > size) {
      return this.#fail(`${length} bytes of a buffer that nothing announced`);
    }
    const buffer = (incoming.buffers[incoming.index] ??= allocate(size));
    buffer.set(memory.subarray(start, start + length), incoming.done);
    incoming.done += length;
    this.#complete();
  }

  /** Hands the message over once all its buffers are filled. */
  #complete(): void {
    const incoming = this.#incoming!;
    const { sizes, buffers, bytes } = incoming;
    while (incoming.index < sizes.length && incoming.done === sizes[incoming.index]!) {
      buffers[incoming.index] ??= new Uint8Array(new ArrayBuffer(0));
      incoming.index++;
      incoming.done = 0;
    }
    if (incoming.index < sizes.length) return;
    this.#incoming = null;
    this.#owner.onMessage(bytes, bytes.length, buffers);
  }

  #fail(what: string): void {
    this.close();
    this.#owner.onLost({
      exitCode: null,
      signal: null,
      text: `sent a malformed message (${what})`,
    });
  }
}
