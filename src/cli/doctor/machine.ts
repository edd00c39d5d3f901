/** The facts without MPI: Bun, the cores, the memory. */
import { closeSync, readFileSync, statfsSync } from "node:fs";
import { availableParallelism, hostname, release, tmpdir, totalmem, type } from "node:os";
import manifest from "../../../package.json" with { type: "json" };
import { hostCores } from "../../os/cores.ts";
import { createMemoryIn } from "../../link/local/memory.ts";
import { MEMORY_FOLDER } from "../../os/nameless.ts";
import type { BunFacts, MachineFacts, SharedMemoryFacts } from "./report.ts";

/**
 * Whether `version` is at least the one in `required`, as ">=1.4.5". A canary build counts as the
 * version it leads to.
 */
export function isRecent(version: string, required: string): boolean {
  const [number = version] = version.split("-");
  return Bun.semver.satisfies(number, required);
}

export function examineBun(): BunFacts {
  const required = manifest.engines.bun;
  const { version } = Bun;
  return { version, path: process.execPath, required, ok: isRecent(version, required) };
}

export function examineMachine(): MachineFacts {
  return {
    host: hostname(),
    system: `${type()} ${release()} ${process.arch}`,
    cores: hostCores(),
    coresHere: availableParallelism(),
    memoryBytes: totalmem(),
    sharedMemory: examineSharedMemory(),
  };
}

/** The numbers of the cores that this process may run on, as in "0-3,8". */
export function affinity(): string {
  try {
    const status = readFileSync("/proc/self/status", "latin1");
    const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1];
    if (list !== undefined) return list;
  } catch {
    // No /proc.
  }
  return `0-${availableParallelism() - 1}`;
}

/** The approximate size of a worker's memory. */
const TRIAL_BYTES = 1 << 20;

function examineSharedMemory(): SharedMemoryFacts {
  const folder = MEMORY_FOLDER;
  let freeBytes: number | null = null;
  try {
    const { bavail, bsize } = statfsSync(folder);
    freeBytes = bavail * bsize;
  } catch {
    // no such folder
  }
  const usable = isUsable(folder);
  const instead = tmpdir();
  return { folder, usable, freeBytes, instead: isUsable(instead) ? instead : null };
}

function isUsable(folder: string): boolean {
  try {
    closeSync(createMemoryIn(folder, TRIAL_BYTES).fd);
    return true;
  } catch {
    return false;
  }
}
