import type { FunctionRecord } from "../function/record.ts";
import type { Link, LinkOwner, ControllerEnd } from "../link/link.ts";
import type { Opening } from "../wire/frames.ts";

/**
 * Where a pool's workers come from: `local.ts` has processes, `mpi.ts` ranks, `mixed.ts` both,
 * and with `inline.ts` they are this process itself.
 */
export interface Backend {
  /** Sets the owner, which is asked before sleeping; called once, before anything else. */
  attach(owner: BackendOwner): void;
  /** Makes the link to a worker: to its rank, or to a process that is started for it. */
  connect(index: number, owner: LinkOwner): ControllerEnd;
  /** The name of the machine that a worker is on. */
  hostOf(index: number): string;
  /** The worker's rank, as the pool's user counts them; null for a local process. */
  rankOf(index: number): number | null;
  /** A link is not used any more. */
  disconnect(link: Link): void;
  /** Receives all that has come, on all links. Does not block. */
  poll(): boolean;
  /** Finds out which workers are gone, while a blocked event loop cannot report it. */
  checkAlive(): void;
  /** Whether messages end a `wait` at once; else it sleeps to its end, or looks in between. */
  readonly wakesBlocked?: boolean;
  /** Whether a `wait` yields the core before it sleeps. */
  readonly yieldsBlocked?: boolean;
  /**
   * Blocks until something may have come for `task`, or `ms` are over; throws where nothing can
   * come.
   */
  wait(ms: number, task: AwaitedTask): void;
  /** Something was sent, or is expected: looks for messages as long as `isExpecting`. */
  wake(): void;
  /** Nothing is expected any more. */
  unref(): void;
  /** The pool is over. */
  close(): void;
  /** A number that no other pool of this process has. */
  readonly session: number;
  /** What its workers are sent about it. */
  readonly opening: Opening;
  /** Names functions to its workers, where that is not done as a rule. */
  readonly recordOf?: (fn: ((...args: never[]) => unknown) | string) => FunctionRecord;
}

/** A task that a caller blocks for. */
export interface AwaitedTask {
  readonly label: string;
  readonly state: string;
}

/** What the backend asks of its controller. */
export interface BackendOwner {
  /** True while answers are expected: there is reason to look for messages. */
  readonly isExpecting: boolean;
  /** True if every worker is on this machine, and rings the doorbell when it sends. */
  readonly isOnOneHost: boolean;
}
