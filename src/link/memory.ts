import { closeSync, constants, openSync, writeSync } from "node:fs";

/**
 * Memory that two processes share: a file in memory that never has a name (`O_TMPFILE`, open(2)), so
 * that nobody else can open it, and nothing is left of it when both are gone, however they go. Both
 * close their descriptors once it is mapped: to make it shorter, which nothing then can, would end
 * whoever touches what was cut off.
 */

// Linux; Node's constants do not have it. The flag includes O_DIRECTORY.
const O_TMPFILE = 0o20200000;

/** Where Linux keeps shared memory. */
export const MEMORY_FOLDER = "/dev/shm";

/** A descriptor for `bytes` bytes of it, for this process and one that inherits it; null where there is none. */
export function createMemory(bytes: number): number | null {
  if (process.platform !== "linux") return null;
  let fd: number;
  try {
    fd = openSync(MEMORY_FOLDER, constants.O_RDWR | O_TMPFILE, 0o600);
  } catch {
    return null;
  }
  try {
    // Written, not merely made that long: where there is no room left, to touch it would be fatal.
    if (writeSync(fd, new Uint8Array(bytes)) === bytes) return fd;
  } catch {
    // No room: the caller has another way.
  }
  closeSync(fd);
  return null;
}

/** The memory behind a descriptor, which may be closed afterwards. */
export function mapMemory(fd: number): Uint8Array {
  return Bun.mmap(`/proc/self/fd/${fd}`, { shared: true });
}
