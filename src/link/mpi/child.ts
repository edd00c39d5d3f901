import { BsyncError } from "../../errors.ts";
import { unknownExit } from "../../os/exit.ts";
import { directionOf, Kind, type LostChild } from "../../wire/frames.ts";
import { readContent, sendFrame } from "./rank-frames.ts";
import { Activity } from "../../wire/task-id.ts";
import type { LinkOwner, ControllerEnd } from "../link.ts";
import type { MpiHub } from "./hub.ts";
import { type Greeting, readGreeting } from "../../wire/greeting.ts";
import { firstKind, type Frame, readFrames } from "../../wire/reader.ts";
import { MessageWriter } from "../../wire/writer.ts";
import type { RankLink } from "./rank.ts";

/**
 * A link to the child of a rank, by way of that rank (`worker/relay.ts` is its counterpart there).
 * Each child has a session of its own: messages still on their way from or to an earlier one are
 * dropped at either end, as those of an earlier pool are.
 */
export class ChildLink implements ControllerEnd {
  readonly rank: number;
  readonly session: number;
  readonly reading = null;
  /** Its rank sees its reports. */
  readonly isSeen = true;
  readonly #link: RankLink;
  readonly #owner: LinkOwner;
  #pid = 0;
  #currentTask: number | undefined;
  #recalls = 0;
  /** Messages that came without progress of the child. */
  #withoutProgress = 0;
  #isStalled = false;

  /** Has the rank start a child. `us` is the greeting of this side. */
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

  prewake(): void {
    this.#link.prewake();
  }

  poll(): boolean {
    return this.#link.poll();
  }

  /** Known only once the child is gone: then the rank has sent it. */
  get currentTask(): number | undefined {
    return this.#currentTask;
  }

  /** As its rank has reported since the child's last message. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Without the rank's own messages, each of which MPI has received as a whole. */
  get received(): number {
    return this.#link.received - this.#withoutProgress;
  }

  /** The rank has to be woken in its place, and has sent a greeting of its own. */
  meet(): void {}

  close(): void {
    this.#link.close();
  }

  kill(task = 0, count = 1): void {
    sendFrame(this.#link, Kind.Kill, task, undefined, count);
  }

  /** The rank sees this number on its way to the child, and counts along. */
  recall(): number {
    return ++this.#recalls;
  }

  #receive(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    const direction = directionOf(firstKind(bytes, length));
    if (direction?.isProgress === false) this.#withoutProgress++;
    if (direction?.from === "rank") return this.#takeFrames(bytes, length, buffers);
    this.#isStalled = false;
    this.#owner.onMessage(bytes, length, buffers);
  }

  #takeFrames(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    try {
      readFrames(bytes, length, buffers, (frame) => this.#take(frame));
    } catch (error) {
      if (!(error instanceof BsyncError)) throw error;
      this.kill();
      this.#owner.onLost(unknownExit(`sent a malformed message: ${error.message}`));
    }
  }

  #take(frame: Frame): void {
    if (frame.kind === Kind.Spawned) {
      this.#pid = frame.task;
      this.#link.meet(readGreeting(readContent(frame)));
      return;
    }
    if (frame.kind === Kind.StillAt) {
      // A child that was recalled once more since is reported anew.
      if (frame.number !== this.#recalls) return;
      this.#isStalled = frame.task === Activity.Idle;
      return this.#owner.onStillAt?.(frame.task);
    }
    if (frame.kind === Kind.Stalled) return this.#owner.onStalled?.(frame.task);
    const { currentTask, ...ending } = readContent(frame) as LostChild;
    this.#currentTask = currentTask ?? undefined;
    this.#owner.onLost(ending);
  }
}
