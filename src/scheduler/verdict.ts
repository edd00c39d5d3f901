import type { WorkerStage } from "./begun-calls.ts";
import type { Task } from "./task.ts";
import type { WorkerRecord } from "./worker-record.ts";

/**
 * What `due` decides. `expired`: a task's time is over. `stuck`: a worker goes on with a settled
 * task, or has not exited after `Close`. `late`: a replacement does not serve in its time.
 */
export type Verdict =
  | {
      readonly kind: "expired";
      readonly task: Task;
      readonly worker: WorkerRecord;
      readonly stage: WorkerStage;
    }
  | { readonly kind: "stuck"; readonly worker: WorkerRecord }
  | { readonly kind: "late"; readonly worker: WorkerRecord };

/** Of a worker, as far as its link shows it. */
export interface Signs {
  /** When something last came from it, or was read by it, on `performance.now()`. */
  movedAt(worker: WorkerRecord): number;
  /** Whether a call that has waited for its children may have its thread. */
  mayBeHeld(worker: WorkerRecord): boolean;
}

/** Where nothing is seen. */
export const NO_SIGNS: Signs = { movedAt: () => -Infinity, mayBeHeld: () => false };
