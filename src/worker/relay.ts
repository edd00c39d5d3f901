import { PROGRAM_OVER, type ExitStatus, unknownExit } from "../os/exit.ts";
import { textOf } from "../errors.ts";
import { readContent, sendFrame } from "../link/mpi/rank-frames.ts";
import { takeIn } from "../link/link.ts";
import { ProcessLink } from "../link/local/process.ts";
import { NoMemoryError } from "../link/local/memory.ts";
import { BEGIN_MS, CERTAIN_MS } from "../link/task-word.ts";
import { clearInterval, clearTimeout, setInterval, setTimeout } from "../os/natives.ts";
import { CHILD_LINGER_MS, LOOK_MS, LOOKS } from "../os/waits.ts";
import type { ServedRank } from "../os/worker-env.ts";
import { Kind, type LostChild } from "../wire/frames.ts";
import { Activity, distance, INITIALIZER } from "../wire/task-id.ts";
import { guarded } from "./ignored-signals.ts";
import { type Greeting, readGreeting, introduce } from "../wire/greeting.ts";
import { firstKind, type Frame, readFrames } from "../wire/reader.ts";
import { MessageWriter } from "../wire/writer.ts";
import type { RankLink } from "../link/mpi/rank.ts";

/** ms in which a child that reads a message has read some of it. */
const READ_MS = 2;

/**
 * A rank's part in an isolated pool: it runs the session in a child process, and passes messages on
 * between its two links, as they are. Of each it looks at the first frame's kind alone, to find
 * messages for itself. When the child is gone, so is this: the controller, which is sent the exit
 * status, asks for another child in a session of its own.
 */
export class ChildRelay {
  readonly #up: RankLink;
  readonly #us: Greeting;
  readonly #onOver: () => void;
  readonly #upward: MessageWriter;
  readonly #downward: MessageWriter;
  #child: ProcessLink | null = null;
  #timer: ReturnType<typeof setInterval> | null = null;
  /** The child has sent a message. */
  #answered = false;
  /** How far it had read at the last look, and at how many looks in a row it had read no more. */
  #read: number | null = null;
  #looks = 0;
  #recalls = 0;
  /**
   * The message of a recall that was not passed on yet, and how far the child had read when that
   * was last seen.
   */
  #recallDue: Uint8Array | null = null;
  #recallRead: number | null = null;
  #recallTimer: ReturnType<typeof setTimeout> | null = null;
  /**
   * Looks whether the child begins the calls it was last sent; and how far it had read when it was
   * found to begin none.
   */
  #glance: ReturnType<typeof setTimeout> | null = null;
  #stood: number | null = null;

  /**
   * `spinUs` is how long the rank looks for messages before it sleeps; `onOver` is called when the
   * child is gone.
   */
  constructor(up: RankLink, spinUs: number, onOver: () => void) {
    this.#up = up;
    this.#us = introduce(spinUs);
    this.#onOver = onOver;
    this.#upward = new MessageWriter(up.session);
    this.#downward = new MessageWriter(up.session);
  }

  /**
   * Starts the child. `message` is the controller's, which asks for it; `wake` is called when the
   * child rings.
   */
  start(bytes: Uint8Array, length: number, servedRank: ServedRank, wake: () => void): void {
    readFrames(bytes, length, [], (frame) => {
      this.#up.meet(readGreeting(readContent(frame)));
    });
    try {
      this.#child = new ProcessLink(
        { env: undefined, cwd: undefined, servedRank },
        {
          onMessage: (bytes, length, buffers) =>
            guarded(() => this.#passUp(bytes, length, buffers)),
          onPause() {},
          onLost: (ending) => guarded(() => this.#lose(ending)),
        },
        wake,
        wake,
      );
    } catch (error) {
      return this.#lose(notStarted(error));
    }
    sendFrame(this.#up, Kind.Spawned, this.#child.pid, this.#us);
    this.#timer = setInterval(() => guarded(() => this.#look()), LOOK_MS);
    this.#timer.unref();
  }

  /** A message of the controller's. */
  receive(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    const child = this.#child;
    if (child === null) return;
    const kind = firstKind(bytes, length);
    if (kind === Kind.Kill) {
      readFrames(bytes, length, buffers, (frame) => this.#kill(child, frame));
      return;
    }
    if (kind === Kind.Recall) {
      this.#recallDue = bytes.slice(0, length);
      this.#recallRead = this.#stood;
      return this.#recall(child);
    }
    this.#passDown(child, bytes, length, buffers);
  }

  /** Messages were passed on as they came. */
  answer(): void {}

  /** It starts no calls. */
  onFlushed(): void {}

  poll(): boolean {
    return this.#child?.poll() ?? false;
  }

  /** Before the rank sleeps; false if there is something to do. */
  arm(): boolean {
    return this.#child?.arm() ?? true;
  }

  disarm(): void {
    this.#child?.disarm();
  }

  /** The controller is done with the child, which was closed: it has a moment to end by itself. */
  abandon(): void {
    const child = this.#child;
    this.#release();
    child?.close();
  }

  /** The pool is over: a child that does not end by itself is ended. */
  endChild(): void {
    this.#child?.endWithin(CHILD_LINGER_MS);
  }

  /** The rank has come to its end, though the pool has not closed it. */
  shutDown(): void {
    // Read before the child learns of its end: from then on it has begun nothing.
    const currentTask = this.#currentTask;
    this.#child?.shutDown();
    this.#lose(PROGRAM_OVER, currentTask);
  }

  #passDown(child: ProcessLink, bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    this.#downward.load(bytes, length, buffers);
    child.send(this.#downward);
    this.#glance ??= this.#glanceSoon(child.reading);
  }

  #glanceSoon(read: number | null): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => this.#lookAtStart(read), BEGIN_MS);
    timer.unref();
    return timer;
  }

  /** Reports a child that has neither begun a call nor read on: another worker may be idle. */
  #lookAtStart(read: number | null): void {
    this.#glance = null;
    const child = this.#child;
    if (child === null) return;
    const { currentTask, unread, reading } = child;
    this.#stood = null;
    if (currentTask !== Activity.Idle || !unread || !this.#answered) return;
    // Its answers go before a report about it.
    takeIn(child);
    if (reading === null || reading !== read || !child.isCaughtUp) {
      this.#glance = this.#glanceSoon(reading);
      return;
    }
    this.#stood = reading;
    this.#send(Kind.StillAt, Activity.Idle, this.#recalls);
  }

  /**
   * Forwards a pending recall once the child has read everything: a call that it is still receiving
   * would be dropped and sent again.
   */
  #recall(child: ProcessLink): void {
    const message = this.#recallDue!;
    const { currentTask, unread, reading } = child;
    const stands = reading !== null && reading === this.#recallRead;
    this.#recallRead = reading;
    if (currentTask === Activity.Idle && unread && !stands) {
      return this.#after(READ_MS, (child) => this.#recall(child));
    }
    this.#recallDue = null;
    this.#recalls = child.recall();
    this.#passDown(child, message, message.length, []);
    if (currentTask !== undefined) this.#after(CERTAIN_MS, (child) => this.#reportHeld(child));
  }

  /** Reports which task the child has begun, since it begins no other that it was sent. */
  #reportHeld(child: ProcessLink): void {
    const { currentTask } = child;
    takeIn(child);
    const isCertain = currentTask !== Activity.Idle || child.isCaughtUp;
    if (isCertain) this.#send(Kind.StillAt, currentTask!, this.#recalls);
    else this.#after(CERTAIN_MS, (child) => this.#reportHeld(child));
  }

  /** Goes on with a recall later, unless there is another one by then, or no child. */
  #after(ms: number, deed: (child: ProcessLink) => void): void {
    if (this.#recallTimer !== null) clearTimeout(this.#recallTimer);
    this.#recallTimer = setTimeout(() => {
      this.#recallTimer = null;
      if (this.#child !== null) deed(this.#child);
    }, ms);
    this.#recallTimer.unref();
  }

  #passUp(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void {
    this.#answered = true;
    this.#upward.load(bytes, length, buffers);
    this.#up.send(this.#upward);
  }

  /**
   * The controller holds that one of `number` calls from `task` (0: any) on keeps the child, or, of
   * no call, that something else does. It may have moved on since.
   */
  #kill(child: ProcessLink, { task, number }: Frame): void {
    const { currentTask } = child;
    if (task === 0 && number === 0 && !this.#stands(child)) return;
    const hasGoneOn =
      currentTask !== undefined &&
      (currentTask === Activity.Idle
        ? !child.unread
        : currentTask !== Activity.Loading && distance(task, currentTask) >= Math.max(1, number));
    if (task !== 0 && hasGoneOn) return;
    if (child.isHeldByWrite) child.endWithin(CHILD_LINGER_MS);
    else child.kill();
  }

  /**
   * As `liveness.ts` for local workers: something that a task left behind may keep the child's
   * thread. It may have had no time to report that its last task is over, or a call may have it
   * that has waited for its children: the controller knows.
   */
  #look(): void {
    const child = this.#child;
    if (child === null) return;
    const { reading, currentTask } = child;
    this.#looks = this.#answered && this.#stands(child) ? this.#looks + 1 : 0;
    this.#read = reading;
    if (this.#looks < LOOKS || currentTask === undefined) return;
    if (currentTask === Activity.Idle && child.isHeldByWrite) return;
    this.#send(Kind.Stalled, currentTask);
  }

  /** Whether a child has something to read, and has read nothing since the last look. */
  #stands({ reading, currentTask, unread }: ProcessLink): boolean {
    const busy = currentTask === Activity.Loading || currentTask === INITIALIZER;
    return unread && !busy && reading !== null && reading === this.#read;
  }

  #send(kind: Kind, task: number, number = 0): void {
    const message = new MessageWriter(this.#up.session);
    message.write(kind, task, number);
    this.#up.send(message);
  }

  /** The child's report, as far as that is known. */
  get #currentTask(): number | null {
    return this.#child === null ? Activity.Idle : (this.#child.currentTask ?? null);
  }

  #lose(ending: ExitStatus, currentTask = this.#currentTask): void {
    const lost: LostChild = { ...ending, currentTask };
    sendFrame(this.#up, Kind.Lost, 0, lost);
    // The controller may expect nothing, and so not look.
    this.#up.ring();
    this.#child?.close();
    this.#release();
  }

  #release(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    if (this.#recallTimer !== null) clearTimeout(this.#recallTimer);
    if (this.#glance !== null) clearTimeout(this.#glance);
    this.#timer = null;
    this.#recallTimer = null;
    this.#glance = null;
    this.#child = null;
    this.#onOver();
  }
}

function notStarted(error: unknown): ExitStatus {
  const status = unknownExit(`could not be started (${textOf(error)})`);
  return error instanceof NoMemoryError ? { ...status, cause: error.cure } : status;
}
