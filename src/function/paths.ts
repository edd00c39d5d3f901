import { dirname, join } from "node:path";
import { mainAtLoad } from "../os/natives.ts";

/** The paths of modules: which are bsync's own, and what stands behind those of others. */

const OWN_SOURCES = dirname(import.meta.dir) + "/";
const OWN_ENTRIES = ["index.ts", "mpi.ts"].map((name) => join(OWN_SOURCES, "..", name));
const WORKER_ENTRY = join(OWN_SOURCES, "worker", "entry.ts");

/** In a bundled program there are no files of bsync's own: it is part of the program. */
const IS_BUNDLED = !import.meta.path.endsWith("/src/function/paths.ts");

/** Whether a file belongs to bsync itself. */
export function isOwnFile(path: string): boolean {
  if (IS_BUNDLED) return false;
  return path.startsWith(OWN_SOURCES) || OWN_ENTRIES.includes(path);
}

/**
 * Whether this process runs the program's main script on its own account, or has done so: not, if
 * it was started as a worker.
 */
export const RUNS_PROGRAM = IS_BUNDLED || mainAtLoad !== WORKER_ENTRY;

/**
 * Behind the path of a module whose extension tells no language: the runtime asks plugins for no
 * such file.
 */
export const NO_LANGUAGE = "?bsync.tsx";
/**
 * Behind the path of a file that is imported with attributes: a module of its own, which stays as
 * it is.
 */
export const AS_IT_IS = "?bsync-as-it-is";
/** Behind a module's path, and with a number after it, in the frames of an inline function. */
export const INLINE = "?bsync-inline-";

/** A path as the program knows it, of one that a stack or the runtime gives. */
export function plainPath(path: string): string {
  const file = path.startsWith("file://") ? Bun.fileURLToPath(path.replace("%3F", "?")) : path;
  return file.replace(/\?bsync(\.tsx|-as-it-is|-inline-\d+)$/, "");
}

/** The one name that texts of modules are given, free in each of them. */
export const HAND_OVER = "__bsync_open";
