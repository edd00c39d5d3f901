/** Parents and descendants of processes, from Linux's /proc, and their ends. */
import { files } from "./files.ts";
import { isProcOwn, procOf, readProc, statOf } from "./proc.ts";
import { own } from "./natives.ts";

/** The parent of a process; 0 if unknown. */
export function parentOf(pid: number): number {
  return isProcOwn() ? Number(statOf(pid)?.[1] ?? 0) : 0;
}

/** All descendants of a process; none if unknown. */
export function descendantsOf(pid: number): number[] {
  const folder = procOf(pid);
  if (folder === null || !isProcOwn()) return [];
  let threads: string[];
  try {
    threads = files().readdirSync(`${folder}/task`);
  } catch {
    // It has ended.
    return [];
  }
  const children = threads.flatMap((thread) => {
    const list = readProc(pid, `task/${thread}/children`) ?? "";
    return list.split(" ").filter(Boolean).map(Number);
  });
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

/** Kills all descendants of a process: stops them first, so that none starts another meanwhile. */
export function killDescendants(pid: number): void {
  const found = new Set<number>();
  for (let more = true; more;) {
    const others = descendantsOf(pid).filter((one) => !found.has(one));
    for (const one of others) {
      found.add(one);
      signal(one, "SIGSTOP");
    }
    more = others.length > 0;
  }
  for (const one of found) signal(one, "SIGKILL");
}

/** Kills all processes of a group, if there are any. */
export function killGroup(group: number): void {
  signal(-group, "SIGKILL");
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    own.kill(pid, name);
  } catch {
    // It has ended.
  }
}

const { exit } = process;
const { apply } = Reflect;

/** Ends this process, whatever a program has made of `process.exit`, or of functions. */
export function exitProcess(code: number): never {
  return apply(exit, process, [code]) as never;
}

/** Sets the exit code if nothing else does; Bun does not accept undefined. */
export function setExitCode(code: typeof process.exitCode): void {
  if (process.exitCode !== code) process.exitCode = code ?? 0;
}
