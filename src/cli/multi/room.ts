/** Room for one more job on a machine, and in a process, that has none left just now. */
import { readFileSync } from "node:fs";

/** Codes by which the system says so. */
const NO_ROOM: ReadonlySet<unknown> = new Set(["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"]);

/** ms between two tries, and their number where waiting may be of no use. */
const ROOM_MS = 50;
const MOST_TRIES = 60;

export interface Waiting {
  /** Whether nothing is to be tried, unless waiting is of no use. */
  isFull(): boolean;
  /** Whether something goes on whose end makes room. */
  isUseful(): boolean;
  /** Whether nobody wants it any more. */
  isOver(): boolean;
}

/** Does something, when there is room for it. */
export async function roomFor<T>(deed: () => T, waiting: Waiting): Promise<T> {
  for (let left = MOST_TRIES; ; left--) {
    if (waiting.isUseful()) left = MOST_TRIES;
    if (left === 0 || !waiting.isFull()) {
      try {
        return deed();
      } catch (error) {
        if (left === 0 || waiting.isOver() || !isOfRoom(error)) throw error;
      }
    }
    await Bun.sleep(ROOM_MS);
  }
}

function isOfRoom(error: unknown): boolean {
  return error instanceof Error && "code" in error && NO_ROOM.has(error.code);
}

/** Descriptors of a job: its outputs, its process, what starts it. Those for all else. */
const OF_JOB = 4;
const OF_WORKER = 32;

let most: number | null = null;

/** Jobs whose descriptors leave some to the rest of this process: it needs them to go on. */
export function mostJobs(): number {
  most ??= Math.max(1, Math.floor((descriptors() - OF_WORKER) / OF_JOB));
  return most;
}

/** How many this process may have open. */
function descriptors(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Infinity);
  } catch {
    return Infinity;
  }
}
