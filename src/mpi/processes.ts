/** Who started whom, as Linux tells in /proc. */
import { readFileSync } from "node:fs";

/** The parent of a process; 0 where it cannot be known. */
export function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // "pid (name) state parent …", where the name may hold anything, brackets too.
    return Number(stat.slice(stat.lastIndexOf(")") + 4).split(" ")[0]);
  } catch {
    return 0;
  }
}
