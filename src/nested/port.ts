import type { DecodeContext, EncodeContext, Encoded } from "../codec/value.ts";
import type { RunningCall } from "../context.ts";
import type { SharedValues } from "../controller/values.ts";
import type { Kind } from "../wire/frames.ts";

/** The fields of a frame, as of `MessageWriter.write`. */
export interface FrameFields {
  readonly number?: number;
  readonly content?: Encoded;
  readonly attempt?: number;
  readonly order?: number;
  readonly index?: number;
}

/** What the children of a session's calls ask of the session. */
export interface SessionPort {
  /** It takes no more calls. */
  readonly isClosed: boolean;
  /** For values that hold errors of the program's classes. */
  readonly classFor: DecodeContext["classFor"];
  readonly classOf: EncodeContext["classOf"];
  /** The values that the pool has shared. */
  readonly shares: SharedValues;
  /** Writes a frame, behind the answers so far. */
  write(kind: Kind, task: number, fields?: FrameFields): void;
  /** Sends all that was written. */
  send(): void;
  /** The same, once the code that runs has returned. */
  sendSoon(): void;
  /** Receives what has come; true if anything has. */
  poll(): boolean;
  /**
   * Runs a call that waits here within the one that waits for it; false where it cannot be run now,
   * or has returned a promise.
   */
  runInPlace(id: number): boolean;
  /** An awaiting call gives up its place. Others may begin. */
  suspend(call: RunningCall): void;
  /** A suspended call stays so: the controller takes it to go on whenever a child has ended. */
  sayIsSuspended(call: RunningCall): void;
  /** A suspended call has its place again; false while there is none. */
  resume(call: RunningCall): boolean;
  /** Begins what can begin. */
  goOn(): void;
}
