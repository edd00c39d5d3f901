/** The processes of a job: a group of their own, which ends as one. */
import { endWithWorker } from "./reaper.ts";

export interface Group {
  /** Also the pid of its first process. */
  readonly id: number;
  /** No more of it is to be ended. */
  forget(): void;
}

/** The group that a child leads; it ends with this process, however that ends. */
export function watched(child: Bun.Subprocess): Group {
  return { id: child.pid, forget: endWithWorker(child.pid) };
}

/** Signals to a group that is to end, and ms to wait after each: those of GNU parallel. */
const SEQUENCE = [
  ["SIGTERM", 200],
  ["SIGTERM", 100],
  ["SIGTERM", 50],
  ["SIGKILL", 25],
] as const;

/** ms between two looks whether anything of it is left. */
const LOOK_MS = 5;

/** Ends a group; resolves once nothing of it is left, or can be seen to be. */
export async function endGroup({ id }: Group): Promise<void> {
  for (const [signal, ms] of SEQUENCE) {
    if (!sendTo(id, signal)) return;
    const end = performance.now() + ms;
    while (performance.now() < end) {
      await Bun.sleep(LOOK_MS);
      if (!sendTo(id, 0)) return;
    }
  }
}

/** Whether there is such a group. */
function sendTo(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}
