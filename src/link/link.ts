import type { ExitStatus } from "../os/exit.ts";
import type { Greeting } from "../wire/greeting.ts";
import type { MessageWriter } from "../wire/writer.ts";

/**
 * A link is a two-way channel between a controller and a worker. It carries the messages of `wire/`
 * in order, whole, each once, and knows nothing of what they say.
 */
export interface Link {
  /** MPI rank of the other side; null for a process of this machine. */
  readonly rank: number | null;
  /** Sends the frames that were written, as one message. Never waits for the other side. */
  send(message: MessageWriter): void;
  /** Something will be sent in a moment: if the other side sleeps, it may wake meanwhile. */
  prewake(): void;
  /** Hands over all that has arrived; true if there was anything, or something moved. */
  poll(): boolean;
  /** The other side has said who it is. */
  meet(other: Greeting): void;
  /** Forgets the other side: nothing is sent or handed over any more. */
  close(): void;
}

/** The worker's end of a link. */
export interface WorkerEnd extends Link {
  /**
   * Before a call that may take the thread for long, when nothing would move what was sent: true if
   * the call is to wait until `onFlushed`.
   */
  flush?(): boolean;
  /**
   * Reports the task that begins, by its number, or one of `Activity`. False if the controller has
   * taken back what was sent and not begun: nothing begins before `resume`.
   */
  report(at: number): boolean;
  /** That `Recall` has come on the link: what comes after it may be begun. */
  resume(recall: number): void;
  /**
   * Makes the memory for reports, where the link has none yet; null where there can be none.
   */
  offerStatusPage?(): { readonly fd: number; readonly key: number } | null;
}

/** The controller's end of a link: a process can be named and ended, a rank cannot. */
export interface ControllerEnd extends Link {
  /** The worker's last report; undefined where it cannot be seen. */
  readonly currentTask: number | undefined;
  /**
   * How far the worker has read a message that takes long to read: while that does not change it
   * reads nothing. Null while it is this side that has to move, and where it cannot be seen.
   */
  readonly reading: number | null;
  /**
   * Counts what has been received, parts of messages included: two equal readings mean that nothing
   * came.
   */
  readonly received: number;
  /** Ends the process; with `task`, unless it is seen to have gone on to others. */
  kill?(task?: number): void;
  /**
   * From now on nothing begins of what was sent, where the worker can see that. The number of this
   * recall.
   */
  recall?(): number;
  /** Whether it can be seen, here or on the worker's own machine, what it has begun. */
  readonly isSeen?: boolean;
  /** Of a worker that its rank sees: it does not begin what it was sent. */
  readonly isStalled?: boolean;
  /** Whether all was taken in that the worker had said before it told what it is at. */
  readonly isCaughtUp?: boolean;
  readonly pid?: number;
  /** The reader of its standard output keeps it from going on: it is not stuck. */
  readonly isHeldByWrite?: boolean;
  /** What its messages are marked with, where that is not the pool's. */
  readonly session?: number;
}

/** Polls in which all that has come is taken in, but for a flood. */
const POLLS = 100;

/** Takes in what a worker has said before it told what it is at: that it goes first. */
export function takeIn(from: { poll(): boolean }): void {
  for (let i = 0; i < POLLS && from.poll(); i++);
}

/** Whom a link serves. None of these may throw. */
export interface LinkOwner {
  /**
   * A message has arrived. `bytes` is good until this returns; `buffers` are the receiver's to
   * keep.
   */
  onMessage(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void;
  /** All that had arrived was handed over: the time to answer, once for all of it. */
  onPause(): void;
  /** What had to leave this process first (`hold`) has left it. */
  onFlushed?(): void;
  /**
   * The memory of a buffer that is being sent is gone: transferred, or made smaller. Zeros are sent
   * in the place of what is left of it once this has returned.
   */
  onTorn?(buffer: Uint8Array): void;
  /**
   * The other side takes nothing in, and told last that it had begun `task`. Of a link that cannot
   * be asked for what it was told; it is to be ended unless that task is still to be answered.
   */
  onStalled?(task: number): void;
  /**
   * The other side was recalled, and begins nothing but what it was at, `at`; or it was not, and
   * does not begin what it was sent. Of a link that cannot be asked for what it was told.
   */
  onStillAt?(at: number): void;
  /** The other side is gone, or what it sends makes no sense. Nothing comes after this. */
  onLost(ending: ExitStatus): void;
}
