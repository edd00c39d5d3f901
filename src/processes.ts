/** Who started whom, as Linux tells in /proc. */
import { readdirSync, readFileSync } from "node:fs";

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

/** All that a process has started, and what those have: none where that cannot be known. */
export function descendantsOf(pid: number): number[] {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const children = threads.flatMap((thread) => {
      const list = readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1");
      return list.split(" ").filter(Boolean).map(Number);
    });
    return children.flatMap((child) => [child, ...descendantsOf(child)]);
  } catch {
    return [];
  }
}
