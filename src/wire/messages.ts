import type { FunctionReference } from "../function/record.ts";
import type { Ending } from "../os/exit.ts";
import type { Greeting } from "./greeting.ts";

/** The kinds of frames: what controller and worker say to each other. */
export const Kind = {
  /** Controller → worker. */
  Open: 1,
  Function: 2,
  Call: 3,
  Cancel: 4,
  Close: 5,
  End: 6,
  Leave: 7,
  Spawn: 8,
  Kill: 9,
  Recall: 10,
  Release: 11,
  Forget: 12,
  /** Worker → controller. */
  Ready: 16,
  Started: 17,
  Result: 18,
  Failure: 19,
  Closed: 20,
  Ended: 21,
  Spent: 22,
  Spawned: 23,
  Lost: 24,
  Stands: 25,
  Joined: 26,
  Recalled: 27,
  Held: 28,
  Left: 29,
  Returned: 30,
} as const;

export type Kind = (typeof Kind)[keyof typeof Kind];

/**
 * What each kind of frame means by its fields; a field not named is zero, a body not named empty.
 */
export interface Frames {
  /** `task` is the worker's index, `number` its rank, -1 for a local process. */
  [Kind.Open]: Opening & Rules;
  /** What the worker needs to find a function. */
  [Kind.Function]: FunctionTold;
  /** Numbers of functions that no call names any more, unless they are told of again. */
  [Kind.Forget]: readonly number[];
  /** `task`; `number` is the function; the body the arguments. */
  [Kind.Call]: unknown[];
  /** `task` was settled without the worker: drop it, or abandon it. */
  [Kind.Cancel]: undefined;
  /** The pool is done with this worker. */
  [Kind.Close]: undefined;
  /** The program is over: does the rank hear? */
  [Kind.End]: undefined;
  /** They do, and leave MPI together. */
  [Kind.Leave]: undefined;
  /** The rank is to start a child for this session; the body says whose. A message of its own. */
  [Kind.Spawn]: Greeting;
  /**
   * The rank is to end its child; with `task`, only if that is what keeps it. A message of its own.
   */
  [Kind.Kill]: undefined;
  /**
   * What was sent before and is not begun is not to be begun. `task` counts these, on a link that
   * has a note. The first of its message.
   */
  [Kind.Recall]: undefined;
  /** The pool of that call of `open` is over: the rank's own call resolves. */
  [Kind.Release]: Released;
  /** The worker serves. */
  [Kind.Ready]: Greeting;
  /** `task` begins now: sent for tasks under a deadline. */
  [Kind.Started]: undefined;
  /**
   * `task` has ended in time, and its result follows: sent for a large one, of tasks under a
   * deadline.
   */
  [Kind.Returned]: undefined;
  /** `task`; `number` is µs it ran; the body its value. */
  [Kind.Result]: unknown;
  /** `task`; `number` is µs it ran; the body what it threw. */
  [Kind.Failure]: unknown;
  /** All that was sent before is answered or dropped, but for `task`, which runs; 0 for none. */
  [Kind.Recalled]: undefined;
  /** The worker has forgotten the pool. */
  [Kind.Closed]: undefined;
  /** The rank waits in `open`, and serves until `Leave`; or until it says `Left`. */
  [Kind.Joined]: undefined;
  /** The rank goes on with its program, and looks for messages no more. */
  [Kind.Left]: undefined;
  /** The rank has received `End`, and waits for `Leave`. */
  [Kind.Ended]: undefined;
  /** The worker is past its limit of memory: it does what it was sent, and is to be replaced. */
  [Kind.Spent]: undefined;
  /** The rank has started a child, its process being `task`; the body introduces the rank. */
  [Kind.Spawned]: Greeting;
  /** The rank's child takes nothing in, and told last that it had begun `task`: is that over? */
  [Kind.Stands]: undefined;
  /**
   * The rank's child was recalled, `number` times in all, and has told since then that it is at
   * `task`.
   */
  [Kind.Held]: undefined;
  /** The rank's child is gone. The last message of its session. */
  [Kind.Lost]: LostChild;
}

/**
 * Which call of `open`: the ranks of a communicator make the same calls in the same order, so that
 * they have the same number on all of them.
 */
export interface OpenId {
  /** Names the communicator. */
  readonly group: string;
  /** From 1. */
  readonly number: number;
}

/** Which pool is over. */
export interface Released extends OpenId {
  /** Its tag. */
  readonly tag: number;
  /** Its sessions have numbers below this one. */
  readonly before: number;
}

/** What a rank says of its child that is gone. */
export interface LostChild extends Ending {
  /** What it was at (`Link.told`); null where that is not known. */
  readonly told: number | null;
}

/** What a worker is told of the pool it serves. */
export interface Opening extends Greeting {
  /** The main script, for functions that are given as a text. */
  readonly main: string;
  /** The text of one that was given by `bun -e`, else null. */
  readonly text: string | null;
}

/** What a worker is told to keep to. */
export interface Rules {
  /** Bytes resident past which it says `Spent`; Infinity for no limit. */
  readonly maxMemory: number;
  /** Signals that it leaves to the controller. */
  readonly drainSignals: readonly string[];
}

/** What a worker is told of a function, before the first call of it. */
export interface FunctionTold {
  /** Its number in calls. */
  readonly id: number;
  readonly reference: FunctionReference;
  /** For messages. */
  readonly label: string;
}
