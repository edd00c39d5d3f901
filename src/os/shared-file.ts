import { closeSync, constants, fstatSync, ftruncateSync, openSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { codeOf, MEMORY_FOLDER, openNameless } from "./nameless.ts";
import { procOf } from "./proc.ts";

/**
 * Memory for any number of processes of this machine: a file without a name, which others open by
 * the descriptor of a process that has it open (`/proc/PID/fd`, proc(5)), and map. It is gone with
 * the last process that has it open or mapped.
 */

/** Where others find such a file. */
export interface FilePlace {
  readonly pid: number;
  readonly fd: number;
  /** It is the file meant, and not another one that has come by the number of the descriptor. */
  readonly ino: number;
  readonly dev: number;
  readonly bytes: number;
}

/** The folders that may have room, the best first. */
export function foldersForMemory(): readonly string[] {
  return [MEMORY_FOLDER, tmpdir()];
}

/**
 * What mappings are aligned to: a page. Processors other than Intel's and AMD's have larger ones.
 */
export const PAGE_BYTES = process.arch === "x64" ? 4096 : 65_536;

/**
 * Makes a file for `bytes` bytes in a folder; why not, where it has no room. The room is not
 * reserved, which would take as long as filling it: should it be gone by then, the write fails.
 */
export function makeSharedFile(folder: string, bytes: number): number | string {
  // A memory file system may be larger than the memory.
  const free = process.availableMemory();
  if (folder === MEMORY_FOLDER && bytes > free) return `the machine has ${inMiB(free)} left`;
  let fd: number | null = null;
  try {
    const { blocks, bavail, bsize } = statfsSync(folder);
    if (blocks > 0 && bavail * bsize < bytes) return `ENOSPC: ${inMiB(bavail * bsize)} are free`;
    fd = openNameless(folder);
    ftruncateSync(fd, bytes);
    return fd;
  } catch (error) {
    if (fd !== null) closeSync(fd);
    // Nor has any other folder a descriptor for it.
    if (/^E[MN]FILE$/.test(codeOf(error))) throw error;
    return error instanceof Error ? error.message : String(error);
  }
}

/** Where others find a file of this process. */
export function placeOf(fd: number, bytes: number): FilePlace {
  const { ino, dev } = fstatSync(fd);
  return { pid: process.pid, fd, ino, dev, bytes };
}

/** Opens the file of another process; null where that cannot be done, or it is there no more. */
export function openPlace({ pid, fd, ino, dev, bytes }: FilePlace): number | null {
  const folder = procOf(pid);
  if (folder === null) return null;
  let own: number | null = null;
  try {
    own = openSync(`${folder}/fd/${fd}`, constants.O_RDWR);
    const found = fstatSync(own);
    const isIt = found.ino === ino && found.dev === dev && found.nlink === 0;
    if (isIt && found.size >= bytes) return own;
  } catch {
    // Another user's, or in a container of its own.
  }
  if (own !== null) closeSync(own);
  return null;
}

/**
 * Maps part of a file, until its array is collected. What is written to a `copy` nobody else sees:
 * the kernel copies each page at the first write. `offset` is a multiple of `PAGE_BYTES`.
 */
export function mapFile(
  fd: number,
  offset: number,
  bytes: number,
  kind: "copy" | "shared",
): Uint8Array {
  return Bun.mmap(`/proc/self/fd/${fd}`, { shared: kind === "shared", offset, size: bytes });
}

export function inMiB(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
