import { readFileSync } from "node:fs";

/** Whether a process of that number runs: not one that has ended, and that nobody has waited for yet. */
export function isAlive(pid: number): boolean {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return false;
  }
  return !/^[ZXx]/.test(stat.slice(stat.lastIndexOf(")") + 2));
}
