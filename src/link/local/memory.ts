import { closeSync, fsyncSync } from "node:fs";
import { tmpdir } from "node:os";
import { codeOf, MEMORY_FOLDER, openNameless, writeAll } from "../../os/nameless.ts";

/**
 * Memory that two processes share: a file without a name, so that nobody else can open it, and
 * nothing is left of it when both are gone, however they go. Both close their descriptors once it
 * is mapped: to make it shorter, which nothing then can, would end whoever touches what was cut
 * off.
 *
 * As a rule it lies in `/dev/shm`, which is memory. Where that is missing, full or read-only, the
 * temporary folder serves: the two map the same pages of the system's cache, and only the disk has
 * something to write now and then.
 */

/**
 * Shared memory of this process, and a descriptor for one that inherits it: close it when that has
 * it.
 */
export interface SharedMemory {
  readonly fd: number;
  readonly memory: Uint8Array;
}

/** No shared memory can be had: the error of each folder, and its cure. */
export class NoMemoryError extends Error {
  readonly cure: string;

  constructor(bytes: number, refusals: readonly string[]) {
    super(`there is no memory for it to share: ${refusals.join("; ")}`);
    const size = `${Math.round(bytes / 2 ** 20)} MiB`;
    this.cure =
      `a worker takes ${size}: make ${MEMORY_FOLDER} larger (docker run --shm-size=1g), or name ` +
      "a folder with room by TMPDIR";
  }
}

/**
 * Makes `bytes` bytes of shared memory, all zero, wherever there is room; throws a `NoMemoryError`
 * where there is none. `tail` is to be read from the descriptor: it lies behind the memory.
 */
export function createMemory(bytes: number, tail?: Uint8Array): SharedMemory {
  const refusals: string[] = [];
  for (const folder of [MEMORY_FOLDER, tmpdir()]) {
    try {
      return createMemoryIn(folder, bytes, tail);
    } catch (error) {
      // Nor has any other folder a descriptor for it.
      if (/^E[MN]FILE$/.test(codeOf(error))) throw error;
      refusals.push(`${folder} has none (${error instanceof Error ? error.message : error})`);
    }
  }
  throw new NoMemoryError(bytes, refusals);
}

/** The same in one folder; throws the system's error. */
export function createMemoryIn(folder: string, bytes: number, tail?: Uint8Array): SharedMemory {
  const fd = openNameless(folder);
  try {
    fill(fd, bytes);
    if (tail !== undefined) writeAll(fd, tail, bytes);
    return { fd, memory: mapMemory(fd, bytes) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** The memory behind a descriptor, so many bytes of it. The descriptor may be closed afterwards. */
export function mapMemory(fd: number, bytes: number): Uint8Array {
  return Bun.mmap(`/proc/self/fd/${fd}`, { shared: true, size: bytes });
}

/** Written, not merely made that long: where there is no room left, to touch it would be fatal. */
function fill(fd: number, bytes: number): void {
  writeAll(fd, new Uint8Array(bytes), 0);
  // Some file systems look for room only when they write to the disk.
  fsyncSync(fd);
}
