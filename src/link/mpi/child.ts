import { BsyncError } from "../../errors.ts";
import { Kind, type LostChild } from "../../wire/messages.ts";
import { readContent, sendFrame } from "./frames.ts";
import { At } from "../../wire/task-id.ts";
import type { Link, LinkOwner } from "../link.ts";
import type { MpiHub, MpiLink } from "./hub.ts";
import { type Greeting, readGreeting } from "../../wire/greeting.ts";
import { firstKind, type Frame, readFrames } from "../../wire/reader.ts";
import { MessageWriter } from "../../wire/writer.ts";

/**
 * A link to the child of a rank, by way of that rank (`worker/relay.ts` is its counterpart there).
 * Each child has a session of its own: what is still on its way from or to an earlier one is
 * dropped at either end, as what belongs to an earlier pool is.
 */
export class IsolatedLink implements Link {
  readonly rank: number;
  readonly session: number;
  readonly reading = null;
  /** Its rank sees it. */
  readonly isSeen = true;
  readonly #link: MpiLink;
  readonly #owner: LinkOwner;
  #pid = 0;
  #told: number | undefined;
  #recalls = 0;
  #stands = false;

  /** Has the rank start a child. `us` is how this side introduces itself. */
  constructor(
    hub: MpiHub,
    rank: number,
    tag: number,
    session: number,
    us: Greeting,
    owner: LinkOwner,
  ) {
    this.rank = rank;
    this.session = session;
    this.#owner = owner;
    this.#link = hub.connect(rank, tag, session, {
      onMessage: (bytes, length, buffers) => this.#receive(bytes, length, buffers),
      onPause: () => owner.onPause(),
      onTorn: (buffer) => owner.onTorn?.(buffer),
      onLost: (ending) => owner.onLost(ending),
    });
    const { pid, host, pidSpace, spinUs } = us;
    sendFrame(this.#link, Kind.Spawn, 0, { pid, host, pidSpace, spinUs });
  }

  /** The child's process; 0 before the rank has named it. */
  get pid(): number {
    return this.#pid;
  }

  send(message: MessageWriter): void {
    this.#link.send(message);
  }

  rouse(): void {
    this.#link.rouse();
  }

  poll(): boolean {
    return this.#link.poll();
  }

  tell(): boolean {
    return true;
  }

  resume(): void {}

  /** Known only once the child is gone: then the rank has seen it. */
  get told(): number | undefined {
    return this.#told;
  }

  /** As its rank has told since it last said something. */
  get stands(): boolean {
    return this.#stands;
  }

  get received(): number {
    return this.#link.received;
  }

  /** It is the rank that has to be woken, which has introduced itself. */
  meet(): void {}

  close(): void {
    this.#link.close();
  }

  kill(task = 0): void {
    const message = new MessageWriter(this.session);
    message.write(Kind.Kill, task);
    this.#link.send(message);
  }

  /** The rank sees this number on its way to the child, and counts along. */
  recall(): number {
    return ++this.#recalls;
  }

  #receive(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    const kind = firstKind(bytes, length);
    if (kind === Kind.Spawned || kind === Kind.Lost || isSeen(kind)) {
      this.#takeFrames(bytes, length, buffers);
      return;
    }
    this.#stands = false;
    this.#owner.onMessage(bytes, length, buffers);
  }

  #takeFrames(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    try {
      readFrames(bytes, length, buffers, (frame) => this.#take(frame));
    } catch (error) {
      if (!(error instanceof BsyncError)) throw error;
      this.kill();
      this.#owner.onLost({
        exitCode: null,
        signal: null,
        text: `sent what no rank sends: ${error.message}`,
      });
    }
  }

  #take(frame: Frame): void {
    if (frame.kind === Kind.Spawned) {
      this.#pid = frame.task;
      this.#link.meet(readGreeting(readContent(frame)));
      return;
    }
    if (frame.kind === Kind.Held) {
      // One that was recalled once more since was asked anew.
      if (frame.number !== this.#recalls) return;
      this.#stands = frame.task === At.Nothing;
      return this.#owner.onHeld?.(frame.task);
    }
    if (frame.kind === Kind.Stands) return this.#owner.onStanding?.(frame.task);
    const { told, ...ending } = readContent(frame) as LostChild;
    this.#told = told ?? undefined;
    this.#owner.onLost(ending);
  }
}

/** What the rank has seen of its child. */
function isSeen(kind: number): boolean {
  return kind === Kind.Stands || kind === Kind.Held;
}
