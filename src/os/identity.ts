import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/**
 * The identity of a process among all processes, and which others it may signal. A host name is not
 * enough: two containers, or two machines, may have the same one, and a pid means another process
 * in each. A pid means the same process only within one boot of one kernel and one pid namespace.
 */

export interface Identity {
  readonly pid: number;
  /** The name of its machine, for messages. */
  readonly host: string;
  /** The pid namespace of one boot of one kernel; empty where that cannot be told. */
  readonly pidSpace: string;
}

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

/** This process. */
export function ownIdentity(): Identity {
  return { pid: process.pid, host: hostname(), pidSpace: pidSpace() };
}

/** Whether the other process's pid means that process here too, so that it can be signalled. */
export function sharesPids(other: Identity | null): boolean {
  return other !== null && other.pidSpace !== "" && other.pidSpace === pidSpace();
}
