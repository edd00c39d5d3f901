import type { FunctionReference } from "../function/record.ts";
import type { ExitStatus } from "../os/exit.ts";
import type { Greeting } from "./greeting.ts";

/** The kinds of frames; `FRAMES` has the direction of each. */
export const Kind = {
  Open: 1,
  Function: 2,
  Call: 3,
  Cancel: 4,
  Close: 5,
  Shutdown: 6,
  Dismiss: 7,
  Spawn: 8,
  Kill: 9,
  Recall: 10,
  Release: 11,
  Forget: 12,
  Ready: 16,
  Started: 17,
  Result: 18,
  Failure: 19,
  Closed: 20,
  ShutdownAck: 21,
  OverMemory: 22,
  Spawned: 23,
  Lost: 24,
  Stalled: 25,
  Join: 26,
  Recalled: 27,
  StillAt: 28,
  Depart: 29,
  Finished: 30,
  Calls: 31,
  Results: 32,
  Awaits: 33,
  Usage: 40,
  Report: 41,
  Share: 50,
  SharePart: 51,
  Unshare: 52,
  Held: 53,
  Submit: 60,
  SubmitFunction: 61,
  SubmitOptions: 62,
  SubmitUses: 63,
  Suspended: 64,
  Withdraw: 65,
  ChildResult: 66,
  ChildFailure: 67,
  ChildOrigin: 68,
  Claim: 69,
  Granted: 70,
  Denied: 71,
  ChildReport: 72,
  AwaitsOther: 73,
  AwaitsItself: 74,
} as const;

export type Kind = (typeof Kind)[keyof typeof Kind];

/**
 * The senders and receivers. The two ends of a pool are its controller and a worker; between them
 * may be the worker's rank, which has the worker as a child, and sends frames of its own. Members
 * are the processes of an MPI job, whichever pools they serve.
 */
export type End = "controller" | "worker" | "rank" | "member";

interface Direction {
  readonly from: End;
  readonly to: End;
  /** Whether such a frame shows progress of the worker, for `controller/liveness.ts`. */
  readonly isProgress: boolean;
}

const TO_WORKER: Direction = { from: "controller", to: "worker", isProgress: false };
const TO_RANK: Direction = { from: "controller", to: "rank", isProgress: false };
const OF_WORKER: Direction = { from: "worker", to: "controller", isProgress: true };
const OF_RANK: Direction = { from: "rank", to: "controller", isProgress: false };
const OF_JOB: Direction = { from: "member", to: "member", isProgress: false };

/** The direction of each kind. */
export const FRAMES: Readonly<Record<Kind, Direction>> = {
  [Kind.Open]: TO_WORKER,
  [Kind.Function]: TO_WORKER,
  [Kind.Forget]: TO_WORKER,
  [Kind.Call]: TO_WORKER,
  [Kind.Calls]: TO_WORKER,
  [Kind.Cancel]: TO_WORKER,
  [Kind.Recall]: TO_WORKER,
  [Kind.Close]: TO_WORKER,
  [Kind.Share]: TO_WORKER,
  [Kind.SharePart]: TO_WORKER,
  [Kind.Unshare]: TO_WORKER,
  [Kind.Spawn]: TO_RANK,
  [Kind.Kill]: TO_RANK,
  [Kind.Ready]: OF_WORKER,
  [Kind.Started]: OF_WORKER,
  [Kind.Finished]: OF_WORKER,
  [Kind.Awaits]: OF_WORKER,
  [Kind.Result]: OF_WORKER,
  [Kind.Results]: OF_WORKER,
  [Kind.Failure]: OF_WORKER,
  [Kind.Recalled]: OF_WORKER,
  [Kind.OverMemory]: OF_WORKER,
  [Kind.Closed]: OF_WORKER,
  [Kind.Usage]: OF_WORKER,
  [Kind.Report]: OF_WORKER,
  [Kind.Held]: OF_WORKER,
  [Kind.Submit]: OF_WORKER,
  [Kind.SubmitFunction]: OF_WORKER,
  [Kind.SubmitOptions]: OF_WORKER,
  [Kind.SubmitUses]: OF_WORKER,
  [Kind.Suspended]: OF_WORKER,
  [Kind.Withdraw]: OF_WORKER,
  [Kind.Claim]: OF_WORKER,
  [Kind.AwaitsOther]: OF_WORKER,
  [Kind.AwaitsItself]: TO_WORKER,
  [Kind.Granted]: TO_WORKER,
  [Kind.Denied]: TO_WORKER,
  [Kind.ChildReport]: TO_WORKER,
  [Kind.ChildResult]: TO_WORKER,
  [Kind.ChildFailure]: TO_WORKER,
  [Kind.ChildOrigin]: TO_WORKER,
  [Kind.Spawned]: OF_RANK,
  [Kind.Stalled]: OF_RANK,
  [Kind.StillAt]: OF_RANK,
  [Kind.Lost]: OF_RANK,
  [Kind.Join]: OF_JOB,
  [Kind.Depart]: OF_JOB,
  [Kind.Shutdown]: OF_JOB,
  [Kind.ShutdownAck]: OF_JOB,
  [Kind.Dismiss]: OF_JOB,
  [Kind.Release]: OF_JOB,
};

/** The direction of a frame that has come; null where there is no such kind. */
export function directionOf(kind: number): Direction | null {
  return (FRAMES as Readonly<Record<number, Direction | undefined>>)[kind] ?? null;
}

/**
 * The fields of each kind of frame; a field not named is zero, a body not named empty.
 */
export interface Frames {
  /** `task` is the worker's index, `number` its rank, -1 for a local process. */
  [Kind.Open]: Opening & Rules;
  /** What the worker needs to find a function. */
  [Kind.Function]: FunctionDefinition;
  /** Numbers of functions that no call names any more, unless they are sent again. */
  [Kind.Forget]: readonly number[];
  /** `task`; `number` is the function; the body the arguments. */
  [Kind.Call]: unknown[];
  /**
   * Calls of one function, on an item each of a map: `task` is the first, the others have the
   * numbers that follow; `number` is the function, `index` the place of the first item; the body
   * the list of items, which are primitive values.
   */
  [Kind.Calls]: unknown[];
  /** `task` was settled without the worker: drop it, or abandon it; a list, by its first call. */
  [Kind.Cancel]: undefined;
  /** The pool is done with this worker. */
  [Kind.Close]: undefined;
  /** `task` is the number of a shared value; the body a `ShareNotice`: how the worker gets it. */
  [Kind.Share]: unknown;
  /** `task`; `number` is a segment of it, the body a place in that; a buffer what lies there. */
  [Kind.SharePart]: number;
  /** `task` was freed. */
  [Kind.Unshare]: undefined;
  /** The program is over: the rank is to answer `ShutdownAck`. */
  [Kind.Shutdown]: undefined;
  /** All have answered, and leave MPI together. */
  [Kind.Dismiss]: undefined;
  /**
   * The rank is to start a child for this session; the body introduces the controller. A message of
   * its own.
   */
  [Kind.Spawn]: Greeting;
  /**
   * The rank is to end its child; with `task`, only if that keeps it, or one of the `number` calls
   * from there on; with neither, only if it still reads nothing. A message of its own.
   */
  [Kind.Kill]: undefined;
  /**
   * Drop every earlier call that has not begun. `task` is the recall's serial number, 0 on a link
   * without a task word. The first of its message.
   */
  [Kind.Recall]: undefined;
  /** The pool of that `open` is over: the rank's own call of it resolves. */
  [Kind.Release]: Released;
  /** The worker serves. */
  [Kind.Ready]: Greeting;
  /**
   * `task` begins now: sent for tasks under a deadline, and where several may be under way for
   * each.
   */
  [Kind.Started]: undefined;
  /** `task` has returned a promise: sent where several may be under way. */
  [Kind.Awaits]: undefined;
  /**
   * `task` has ended in time, and its result follows: sent for a large one, of tasks under a
   * deadline.
   */
  [Kind.Finished]: undefined;
  /** `task`; `number` is µs it ran; the body its value. */
  [Kind.Result]: unknown;
  /** Of `Calls`: `task` is the first; `number` is µs that all ran; the body the list of values. */
  [Kind.Results]: unknown[];
  /** `task`; `number` is µs it ran; the body the value that it threw. */
  [Kind.Failure]: unknown;
  /** All earlier calls are answered or dropped, but for `task`, which runs; 0 for none. */
  [Kind.Recalled]: undefined;
  /** What its process uses: `number` is bytes resident, `task` ms of processor time so far. */
  [Kind.Usage]: undefined;
  /** `task`, which is not over, says something: the body is its value. */
  [Kind.Report]: unknown;
  /** `task` is the number of a shared value; the body a `HeldNotice`: what became of it. */
  [Kind.Held]: unknown;
  /**
   * A task submits another: `task` is the number that its session gives that child, `index` the
   * call that submits it, `number` the function, `attempt` one more than the place of its options;
   * the body the arguments.
   */
  [Kind.Submit]: unknown[];
  /** A function that `Submit` names, before the first time. */
  [Kind.SubmitFunction]: FunctionDefinition;
  /** Options of children, from here on in the place `number`: NaN for what is inherited. */
  [Kind.SubmitOptions]: ChildOptions;
  /** The numbers of the functions among the arguments of the `Submit` that follows. */
  [Kind.SubmitUses]: readonly number[];
  /**
   * The call `task` waits for children, and gives up its place; `number` is how many of them it
   * knows to be settled. Void if more are. `index` is 1 if it waits for each of the others.
   */
  [Kind.Suspended]: undefined;
  /** Nobody waits for the child `task` any more. */
  [Kind.Withdraw]: undefined;
  /** The call `task` waits for the child `number`, which another call has submitted. */
  [Kind.AwaitsOther]: undefined;
  /** The call `number` waits for the child `task`, which waits for that call. */
  [Kind.AwaitsItself]: undefined;
  /** A task blocks its thread until the child `task` is settled: may it run there? */
  [Kind.Claim]: undefined;
  /** It may: its call, of the number `number`, was sent before. */
  [Kind.Granted]: undefined;
  /** It may not, and might wait for what waits on that worker. */
  [Kind.Denied]: undefined;
  /** The child `task` is done; `number` is µs it ran, `index` its worker; the body its value. */
  [Kind.ChildResult]: unknown;
  /**
   * The child `task` has failed, or was cancelled if `number` is 1; `index` is its worker, if it
   * had one.
   */
  [Kind.ChildFailure]: unknown;
  /** The child `task`, on the worker `index` in its attempt `number`, says something: the body. */
  [Kind.ChildReport]: unknown;
  /** Where the child of the `ChildFailure` that follows has thrown, for its stack. */
  [Kind.ChildOrigin]: string;
  /** The worker has forgotten the pool. */
  [Kind.Closed]: undefined;
  /** The rank waits in `open`, and serves until `Dismiss`; or until it sends `Depart`. */
  [Kind.Join]: undefined;
  /** The rank goes on with its program, and looks for messages no more. */
  [Kind.Depart]: undefined;
  /** The rank has received `Shutdown`, and waits for `Dismiss`. */
  [Kind.ShutdownAck]: undefined;
  /** The worker is past its limit of memory: it runs the calls it has, and is to be replaced. */
  [Kind.OverMemory]: undefined;
  /** The rank has started a child, its process being `task`; the body introduces the rank. */
  [Kind.Spawned]: Greeting;
  /** The rank's child reads nothing, and has reported `task` last: has it answered that? */
  [Kind.Stalled]: undefined;
  /** The rank's child, recalled `number` times in all, has reported `task` since then. */
  [Kind.StillAt]: undefined;
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

/** How a rank's child has ended. */
export interface LostChild extends ExitStatus {
  /** The child's last report; null where that is not known. */
  readonly currentTask: number | null;
}

/** What a worker is sent about the pool it serves. */
export interface Opening extends Greeting {
  /** The main script, for functions that are given as a text. */
  readonly main: string;
  /** The text of a script that was given by `bun -e`, else null. */
  readonly text: string | null;
}

/** The rules that a worker has to keep. */
export interface Rules {
  /** Resident bytes above which it sends `OverMemory`; Infinity for no limit. */
  readonly maxMemory: number;
  /** Signals that it leaves to the controller. */
  readonly drainSignals: readonly string[];
  /** How many calls it may have under way. */
  readonly concurrency: number;
  /** Its place among the workers of the pool on its host. */
  readonly localIndex: number;
  /** How many workers the pool has. */
  readonly workers: number;
  /** What it adds to the numbers of functions that its tasks submit: no other worker has those. */
  readonly functionsFrom: number;
}

/** The options of tasks that a task submits; NaN for those of the pool, or of that task. */
export interface ChildOptions {
  readonly timeout: number;
  readonly priority: number;
  readonly retries: number;
  readonly worker: number | null;
}

/** What a worker is sent about a function, before the first call of it. */
export interface FunctionDefinition {
  /** Its number in calls. */
  readonly id: number;
  readonly reference: FunctionReference;
  /** For messages. */
  readonly label: string;
}
