import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** How many files this process may have open from now on; returns how many it could have before. */
export function limitFiles(count: number): number {
  const limit = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  const command = ["prlimit", "--pid", `${process.pid}`, `--nofile=${count}:`];
  let isDone: boolean;
  try {
    isDone = Bun.spawnSync(command).success;
  } catch (error) {
    // It has run: the limit holds for what is opened to wait for its end.
    isDone = (error as NodeJS.ErrnoException).code === "EMFILE";
  }
  if (!isDone) throw new Error("prlimit is needed");
  return Number(limit);
}

/** What the descriptors of this process stand for. */
export function openFiles(): string[] {
  return readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // the one that was read from
    }
  });
}
