import type { Controller } from "../controller/controller.ts";
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
