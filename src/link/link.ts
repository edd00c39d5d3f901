import type { ExitStatus } from "../os/exit.ts";
import type { Greeting } from "../wire/greeting.ts";
import type { MessageWriter } from "../wire/writer.ts";

/**
 * A link is a two-way channel between a controller and a worker. It carries the messages of `wire/`
 * in order, whole, each once, and knows nothing of their content.
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
  /** The other side has sent its greeting. */
  meet(other: Greeting): void;
  /** Forgets the other side: nothing is sent or handed over any more. */
  close(): void;
}

/** The worker's end of a link. */
export interface WorkerEnd extends Link {
  /**
   * Before a call that may hold the thread for long, while sent messages would not move: true if
   * the call is to wait until `onFlushed`.
   */
  flush?(): boolean;
  /**
   * Reports the task that begins, by its number, or one of `Activity`. False if the controller has
   * recalled the unbegun calls: nothing begins before `resume`.
   */
  report(at: number): boolean;
  /** That `Recall` has come on the link: calls that come after it may be begun. */
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
   * reads nothing. Null while this side has to move, and where it cannot be seen.
   */
  readonly reading: number | null;
  /**
   * Counts what has been received, parts of messages included: two equal readings mean that nothing
   * came.
   */
  readonly received: number;
  /**
   * Ends the process; with `task`, the first of `count` calls, unless it is seen to have moved on
   * to others.
   */
  kill?(task?: number, count?: number): void;
  /**
   * From now on the worker begins no call that was sent before, where it can see that. Returns the
   * number of this recall.
   */
  recall?(): number;
  /** Whether the worker's reports can be seen, here or on its own machine. */
  readonly isSeen?: boolean;
  /** Of a worker that its rank sees: it does not begin the calls it was sent. */
  readonly isStalled?: boolean;
  /** Whether all messages were received that the worker had sent before its last report. */
  readonly isCaughtUp?: boolean;
  readonly pid?: number;
  /** The reader of its standard output keeps it from going on: it is not stuck. */
  readonly isHeldByWrite?: boolean;
  /** The session of its messages, where it is not the pool's. */
  readonly session?: number;
}

/** Polls in which all that has come is received, except in a flood. */
const POLLS = 100;

/** Receives what a worker sent before its last report, so that it is handled first. */
export function takeIn(from: { poll(): boolean }): void {
  for (let i = 0; i < POLLS && from.poll(); i++);
}

/** The owner of a link. None of its methods may throw. */
export interface LinkOwner {
  /**
   * A message has arrived. `bytes` is good until this returns; `buffers` are the receiver's to
   * keep.
   */
  onMessage(bytes: Uint8Array, length: number, buffers: Uint8Array[]): void;
  /** All that had arrived was handed over: the time to answer, once for all of it. */
  onPause(): void;
  /** All that had to leave this process first (`flush`) has left it. */
  onFlushed?(): void;
  /**
   * The memory of a buffer that is being sent is gone: transferred, or made smaller. Zeros are sent
   * in the place of the missing bytes once this has returned.
   */
  onTorn?(buffer: Uint8Array): void;
  /**
   * The other side reads nothing, and its last report is `task`: it is to be ended unless that is
   * still to be answered. Of a link on which reports cannot be read.
   */
  onStalled?(task: number): void;
  /**
   * The other side was recalled, and begins nothing behind `at`; or it was not, and does not begin
   * the calls it was sent. Of a link on which reports cannot be read.
   */
  onStillAt?(at: number): void;
  /** The other side is gone, or its messages make no sense. Nothing comes after this. */
  onLost(ending: ExitStatus): void;
}
