/**
 * Linux's /proc, as far as it speaks of this process's own world: of another pid namespace's, as a
 * container may have it mounted, the numbers mean other processes; and there may be none at all.
 */
import { files } from "./files.ts";

const ROOT = "/proc";

let isOwn: boolean | undefined;

/** Whether the numbers in /proc are those by which this process knows others. */
export function isProcOwn(): boolean {
  return (isOwn ??= isProcOf(process.pid, ROOT));
}

/**
 * The folder that tells of a process; null where it would tell of another one, or of none. Of this
 * process every /proc tells, but the numbers in there may be those of another namespace.
 */
export function procOf(pid: number): string | null {
  if (isProcOwn()) return `${ROOT}/${pid}`;
  return pid === process.pid ? `${ROOT}/self` : null;
}

/** Whether what is mounted at `root` names this process as it names itself. */
export function isProcOf(pid: number, root: string): boolean {
  try {
    if (files().readlinkSync(`${root}/self`) !== String(pid)) return false;
    // In all namespaces from that of this /proc to its own, which may happen to have the same
    // number.
    const numbers = /^NSpid:(.*)$/m.exec(
      files().readFileSync(`${root}/self/status`, "latin1"),
    )?.[1];
    return numbers === undefined || numbers.trim() === String(pid);
  } catch {
    return false;
  }
}

/** The text of a file that tells of a process; null where there is none to be believed. */
export function readProc(pid: number, file: string): string | null {
  const folder = procOf(pid);
  if (folder === null) return null;
  try {
    return files().readFileSync(`${folder}/${file}`, "latin1");
  } catch {
    return null;
  }
}

/** What a link that tells of a process leads to; null where there is none to be believed. */
export function linkOfProc(pid: number, file: string): string | null {
  const folder = procOf(pid);
  if (folder === null) return null;
  try {
    return files().readlinkSync(`${folder}/${file}`);
  } catch {
    return null;
  }
}

/**
 * The fields of a process's `stat` from the third on, its state (proc(5)): "pid (name) state …",
 * where the name may hold anything, brackets too.
 */
export function statOf(pid: number): string[] | null {
  const stat = readProc(pid, "stat");
  if (stat === null) return null;
  return stat
    .slice(stat.lastIndexOf(")") + 2)
    .trimEnd()
    .split(" ");
}
