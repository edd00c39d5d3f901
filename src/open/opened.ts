import type { Controller } from "../controller/controller.ts";
import { getRank } from "../job/environment.ts";
import {
  DEFAULT_OPEN_TIMEOUT_MS,
  type PoolOptions,
  type PoolSettings,
  readPoolOptions,
} from "../options.ts";
import { FOREVER_MS } from "../os/waits.ts";
import type { TaskOptions } from "../scheduler/task.ts";

/** What a pool is on this process. */
export type PoolRole = "controller" | "worker" | "unused";

/** What a pool is made of. */
export interface Opened {
  readonly role: PoolRole;
  /** Null where the role is another one. */
  readonly controller: Controller | null;
  /** Whose the controller is, where it is not here: as "rank 0". */
  readonly whose: string;
  /** The options of calls that have none of their own. */
  readonly task: TaskOptions;
}

/** A pool that takes no calls on this process. */
export function withoutCalls(
  role: "worker" | "unused",
  task: TaskOptions,
  whose = "rank 0",
): Opened {
  return { role, controller: null, whose, task };
}

/**
 * ms for MPI to start, whatever is wrong with the options: the others wait in it for this rank.
 * Rank 0 has workers to wait for; these wait for rank 0 as long as it lives.
 */
export function initTimeoutOf(options: PoolOptions): number {
  if (getRank() !== 0) return FOREVER_MS;
  return settingsOf(options)?.openTimeout ?? DEFAULT_OPEN_TIMEOUT_MS;
}

/** Null where something is wrong with them. */
export function settingsOf(options: PoolOptions): PoolSettings | null {
  try {
    return readPoolOptions(options);
  } catch {
    return null;
  }
}
