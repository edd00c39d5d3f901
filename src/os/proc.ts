/**
 * Linux's /proc, if it belongs to this process's pid namespace: a container may have another
 * namespace's mounted, where the numbers mean other processes; and there may be none at all.
 */
import { files } from "./files.ts";

const ROOT = "/proc";

let isOwn: boolean | undefined;

/** Whether the numbers in /proc are the pids of this process's namespace. */
export function isProcOwn(): boolean {
  return (isOwn ??= isProcOf(process.pid, ROOT));
}

/**
 * The folder of a process; null if it would describe another process, or none. Every /proc
 * describes this process, but the numbers in it may be those of another namespace.
 */
export function procOf(pid: number): string | null {
  if (isProcOwn()) return `${ROOT}/${pid}`;
  return pid === process.pid ? `${ROOT}/self` : null;
}

/** Whether the /proc mounted at `root` gives this process the pid it has for itself. */
export function isProcOf(pid: number, root: string): boolean {
  try {
    if (files().readlinkSync(`${root}/self`) !== String(pid)) return false;
    // The pids in all namespaces from that of this /proc down to its own; two may be equal by
    // chance.
    const numbers = /^NSpid:(.*)$/m.exec(
      files().readFileSync(`${root}/self/status`, "latin1"),
    )?.[1];
    return numbers === undefined || numbers.trim() === String(pid);
  } catch {
    return false;
  }
}

/** The text of a file about a process; null if there is none to trust. */
export function readProc(pid: number, file: string): string | null {
  const folder = procOf(pid);
  if (folder === null) return null;
  try {
    return files().readFileSync(`${folder}/${file}`, "latin1");
  } catch {
    return null;
  }
}

/** The target of a link about a process; null if there is none to trust. */
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
 * Bytes that this process has in memory of files and of shared memory, which others may have, too;
 * Infinity if unknown. What it has written to copies of its own is not among them.
 */
export function residentOfFiles(): number {
  const status = readProc(process.pid, "status") ?? "";
  const [, file] = /^RssFile:\s+(\d+) kB$/m.exec(status) ?? [];
  const [, memory] = /^RssShmem:\s+(\d+) kB$/m.exec(status) ?? [];
  return file && memory ? 1024 * (Number(file) + Number(memory)) : Infinity;
}

/**
 * The fields of a process's `stat` from the third on, its state (proc(5)): "pid (name) state …",
 * where the name may contain anything, brackets too.
 */
export function statOf(pid: number): string[] | null {
  const stat = readProc(pid, "stat");
  if (stat === null) return null;
  return stat
    .slice(stat.lastIndexOf(")") + 2)
    .trimEnd()
    .split(" ");
}
