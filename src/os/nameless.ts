import { closeSync, constants, openSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { crypto } from "./natives.ts";

/**
 * Files without a name: nobody finds them in a folder, and the kernel takes their bytes back
 * with the last process that has them open or mapped, however that ends.
 */

/** A file that never has a name (`O_TMPFILE`, open(2)). Linux; Node's constants do not have it. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** Where Linux keeps shared memory. */
export const MEMORY_FOLDER = "/dev/shm";

/** Opens a new file without a name, of this folder's file system; throws the system's error. */
export function openNameless(folder: string): number {
  try {
    return openSync(folder, constants.O_RDWR | O_TMPFILE, 0o600);
  } catch (error) {
    // Other file systems than Linux's own can't do that, nor old kernels.
    if (!/^(EOPNOTSUPP|ENOTSUP|EISDIR|EINVAL)$/.test(codeOf(error))) throw error;
  }
  const path = join(folder, `bsync-${crypto.randomUUID()}`);
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    unlinkSync(path);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}

/** The system's name of an error, as "ENOSPC". */
export function codeOf(error: unknown): string {
  return String(Reflect.get(Object(error), "code"));
}

export function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
  }
}
