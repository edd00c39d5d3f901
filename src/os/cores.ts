/** The cores of the machine, and what of them this process may use. */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { dirname } from "node:path";

/**
 * How many there are, whatever this process is bound to: a rank bound to one would see that one
 * alone.
 */
export function hostCores(): number {
  return Math.max(countCpus(), availableParallelism());
}

/** 0 where the system does not tell: without /proc. */
function countCpus(): number {
  try {
    return cpus().length;
  } catch {
    return 0;
  }
}

/** A limit of time on cores, as of `docker --cpus`. */
export interface CoreQuota {
  /** How many cores' worth. */
  readonly cores: number;
  /** Whose it is, all together: that control group. */
  readonly group: string;
}

/** What this process's control group has; null for no limit. */
export function coreQuota(): CoreQuota | null {
  return quotaIn(readText);
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}

/**
 * The same, by the texts of cgroups(7), versions 1 and 2: the least of its own group's and those
 * above it.
 */
export function quotaIn(read: (path: string) => string | null): CoreQuota | null {
  const quotas: CoreQuota[] = [];
  for (const line of (read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, names = "", path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    const isFirst = names.split(",").includes("cpu");
    if (path === undefined || (!isFirst && names !== "")) continue;
    const roots = isFirst ? ["/sys/fs/cgroup/cpu", `/sys/fs/cgroup/${names}`] : ["/sys/fs/cgroup"];
    for (const folder of roots.flatMap((root) => groupsAbove(path).map((group) => root + group))) {
      const cores = isFirst ? shareOfFirst(read, folder) : shareOf(read, folder);
      if (cores !== null) quotas.push({ cores, group: folder });
    }
  }
  const least = Math.min(...quotas.map(({ cores }) => cores));
  return quotas.find(({ cores }) => cores === least) ?? null;
}

/** A group, and all above it, as "/a/b", "/a" and "". */
function groupsAbove(path: string): string[] {
  const groups: string[] = [];
  for (let group = path; group !== "/"; group = dirname(group)) groups.push(group);
  return [...groups, ""];
}

/** Version 2: "max 100000", or so many microseconds of each so many. */
function shareOf(read: (path: string) => string | null, folder: string): number | null {
  const [most, period] = (read(`${folder}/cpu.max`) ?? "").trim().split(" ").map(Number);
  return share(most, period);
}

/** Version 1, where -1 is no limit. */
function shareOfFirst(read: (path: string) => string | null, folder: string): number | null {
  const [most, period] = ["quota", "period"].map((name) =>
    Number(read(`${folder}/cpu.cfs_${name}_us`) ?? NaN),
  );
  return share(most, period);
}

function share(most = NaN, period = NaN): number | null {
  return most > 0 && period > 0 ? most / period : null;
}
