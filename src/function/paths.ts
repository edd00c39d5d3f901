import { dirname, join } from "node:path";
import { mainAtLoad } from "../os/natives.ts";

/**
 * The paths of modules: which of them are bsync's own, and the suffixes that bsync gives to others.
 */

const OWN_SOURCES = dirname(import.meta.dir) + "/";
const OWN_ENTRIES = ["index.ts", "mpi.ts"].map((name) => join(OWN_SOURCES, "..", name));
const WORKER_ENTRY = join(OWN_SOURCES, "worker", "entry.ts");

/** A bundled program has no files of bsync: bsync is part of the program. */
const IS_BUNDLED = !import.meta.path.endsWith("/src/function/paths.ts");

/** The command `bsync` is a program that uses bsync, as any other. */
const COMMAND = join(OWN_SOURCES, "cli", "/");

/** Whether a file belongs to bsync itself. */
export function isOwnFile(path: string): boolean {
  if (IS_BUNDLED) return false;
  if (OWN_ENTRIES.includes(path)) return true;
  return path.startsWith(OWN_SOURCES) && !path.startsWith(COMMAND);
}

/**
 * Whether this process runs, or has run, the program's main script on its own account: false in a
 * process that was started as a worker.
 */
export const RUNS_PROGRAM = IS_BUNDLED || mainAtLoad !== WORKER_ENTRY;

/**
 * Suffix for the path of a module whose extension tells no language: the runtime asks plugins for
 * no such file.
 */
export const NO_LANGUAGE = "?bsync.tsx";
/**
 * Suffix for the path of a file that is imported with attributes: a module of its own, left
 * unchanged.
 */
export const AS_IT_IS = "?bsync-as-it-is";
/** Suffix, with a number after it, for a module's path in the frames of an inline function. */
export const INLINE = "?bsync-inline-";

/** The same, without a number, of a function that is given as a text. */
export const TEXT = "?bsync-text";

/** The program's own path for one that a stack or the runtime gives. */
export function plainPath(path: string): string {
  const file = path.startsWith("file://") ? Bun.fileURLToPath(path.replace("%3F", "?")) : path;
  return file.replace(/\?bsync(\.tsx|-as-it-is|-text|-inline-\d+)$/, "");
}

/** The one name that is added to the texts of modules; it is free in each of them. */
export const HAND_OVER = "__bsync_open";
