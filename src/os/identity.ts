import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import type { Greeting } from "../wire/messages.ts";

/**
 * How a process introduces itself to another one, and which others it may signal. A host name does
 * not tell: two containers, or two machines, may have the same one, and a pid means another process
 * in each. A pid means the same process only within one boot of one kernel and one pid namespace.
 */

let space: string | null = null;

/** Tells this machine, since it was started, from all others; empty where that cannot be told. */
export function machineId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}

/** Names the space that this process's pid belongs to; empty where that cannot be told. */
function pidSpace(): string {
  if (space !== null) return space;
  try {
    const machine = machineId();
    space = machine === "" ? "" : `${machine} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    space = "";
  }
  return space;
}

/** `spinUs` is how long this process looks for messages before it may fall asleep. */
export function introduce(spinUs: number): Greeting {
  return { pid: process.pid, host: hostname(), pidSpace: pidSpace(), spinUs };
}

/** Whether the other one's pid is a process of this machine, which can be signalled. */
export function isNeighbour(other: Greeting | null): boolean {
  return other !== null && other.pidSpace !== "" && other.pidSpace === pidSpace();
}
