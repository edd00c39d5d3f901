import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";

/**
 * The identity of a process among all processes, and which others it may signal. A host name is not
 * enough: two containers, or two machines, may share one, and a pid means another process in each.
 * A pid means the same process only within one boot of one kernel and one pid namespace.
 */

export interface Identity {
  readonly pid: number;
  /** The name of its machine, for messages. */
  readonly host: string;
  /** The pid namespace of one boot of one kernel; empty if unknown. */
  readonly pidSpace: string;
}

let space: string | null = null;

/** Identifies one boot of this machine; empty if unknown. */
export function machineId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  } catch {
    return "";
  }
}

/** The space in which this process's pid is valid; empty if unknown. */
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

/** Whether the other process's pid is valid here too, so that it can be signalled. */
export function sharesPids(other: Identity | null): boolean {
  return other !== null && other.pidSpace !== "" && other.pidSpace === pidSpace();
}
