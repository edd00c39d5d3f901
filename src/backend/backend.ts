import type { Link, LinkOwner, ControllerEnd } from "../link/link.ts";
import type { Opening } from "../wire/messages.ts";

/** What a controller needs of the outside: `local.ts` has it for processes, `job.ts` for MPI. */
export interface Backend {
  /** The controller says whom to ask before sleeping; once, before anything else. */
  attach(owner: BackendOwner): void;
  /** Makes the link to a worker: to its rank, or to a process that is started for it. */
  connect(index: number, owner: LinkOwner): ControllerEnd;
  /** The name of the machine that a worker is on. */
  hostOf(index: number): string;
  /** The worker's rank, as the pool's user counts them; null for a local process. */
  rankOf(index: number): number | null;
  /** A link is not used any more. */
  disconnect(link: Link): void;
  /** Takes in what has come, on all links. Does not block. */
  poll(): boolean;
  /** Finds out which workers are gone, without the event loop, which would tell. */
  checkAlive(): void;
  /** Blocks until something may have come, or `ms` are over. */
  wait(ms: number): void;
  /** Something was sent, or is expected: look for messages as long as the asker says so. */
  wake(): void;
  /** Nothing is expected any more. */
  unref(): void;
  /** The pool is over. */
  leave(): void;
  /** Numbers the pool apart from all others of this process. */
  readonly session: number;
  /** What its workers are told of it. */
  readonly opening: Opening;
}

/** What the outside asks of its controller. */
export interface BackendOwner {
  /** True while answers are expected: there is reason to look for messages. */
  readonly isExpecting: boolean;
  /** True if every worker is on this machine, and rings when it has something to say. */
  readonly isOnOneHost: boolean;
}
