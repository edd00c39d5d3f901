import { readProc, statOf } from "../os/proc.ts";
import type { Tally } from "./tally.ts";

/** What `sysconf(_SC_CLK_TCK)` gives on Linux: the kernel promises programs so many. */
const TICKS_PER_SECOND = 100;

/**
 * Asks the kernel what a process of this machine uses: it knows better than the process, which
 * says so with messages, and has none to send while a call holds it. Nothing where /proc does not
 * show it.
 */
export function lookAtUsage(tally: Tally, pid: number): void {
  const fields = statOf(pid);
  const resident = /^VmRSS:\s*(\d+) kB$/m.exec(readProc(pid, "status") ?? "")?.[1];
  if (fields === null || resident === undefined) return;
  // From the third field on: user and system time are the 14th and 15th.
  const ticks = Number(fields[11]) + Number(fields[12]);
  if (ticks >= 0) tally.use(Number(resident) * 1024, ticks / TICKS_PER_SECOND);
}
