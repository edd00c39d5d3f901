/**
 * One process at a time, by flock(2): the kernel releases the lock of a holder that ended in any
 * way, so that no lock is left behind. It only saves work: code that runs under it must be right
 * without it.
 */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { read, type Pointer } from "bun:ffi";
import { openLibc } from "../../os/libc.ts";
import { performance } from "../../os/natives.ts";

/**
 * A compilation takes a second or two; after this limit, two at once are better than a job that
 * hangs.
 */
const LIMIT_MS = 60_000;
const STEP_MS = 5;

const LOCK_EX = 2;
const LOCK_NB = 4;

/** ENOLCK, ENOSYS and EOPNOTSUPP: this file system has no such locks. */
const UNSUPPORTED: readonly number[] = [37, 38, 95];

type Answer = "ours" | "busy" | "unsupported";

function findFlock(): ((file: number) => Answer) | null {
  const libc = openLibc({
    flock: { args: ["int", "int"], returns: "int" },
    __errno_location: { args: [], returns: "ptr" },
  });
  if (libc === null) return null;
  const { symbols } = libc;
  return (file) => {
    if (symbols.flock(file, LOCK_EX | LOCK_NB) === 0) return "ours";
    const errno = read.i32(symbols.__errno_location() as Pointer, 0);
    return UNSUPPORTED.includes(errno) ? "unsupported" : "busy";
  };
}

/**
 * Runs `work` while no other process does so in the same `folder`, unless `isDone` has an answer
 * first. Waits at most `limit` milliseconds for the others, and not at all if locks are not
 * available.
 */
export function exclusively<T>(
  folder: string,
  isDone: () => T | undefined,
  work: () => T,
  limit: number = LIMIT_MS,
): T {
  const lock = findFlock();
  let file: number;
  try {
    file = openSync(join(folder, "lock"), "a", 0o600);
  } catch {
    return isDone() ?? work();
  }
  try {
    const end = performance.now() + limit;
    while (lock?.(file) === "busy" && performance.now() < end) {
      const done = isDone();
      if (done !== undefined) return done;
      Bun.sleepSync(STEP_MS);
    }
    return isDone() ?? work();
  } finally {
    closeSync(file);
  }
}
