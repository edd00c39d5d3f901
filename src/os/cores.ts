/** The cores of the machine, and how many of them this process may use. */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { dirname } from "node:path";

/**
 * The number of cores of the machine, whatever this process is bound to: a rank bound to one core
 * would see only that.
 */
export function hostCores(): number {
  return Math.max(countCpus(), availableParallelism());
}

/** 0 if the system does not tell: without /proc. */
function countCpus(): number {
  try {
    return cpus().length;
  } catch {
    return 0;
  }
}

/** A limit of CPU time, as by `docker --cpus`. */
export interface CoreQuota {
  /** In cores. */
  readonly cores: number;
  /** The control group whose processes share it. */
  readonly group: string;
}

/** The quota of this process's control group; null for no limit. */
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
 * The quota by the texts of cgroups(7), versions 1 and 2: the least of the process's group and
 * those above it.
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

/** A group and all groups above it, as "/a/b", "/a" and "". */
function groupsAbove(path: string): string[] {
  const groups: string[] = [];
  for (let group = path; group !== "/"; group = dirname(group)) groups.push(group);
  return [...groups, ""];
}

/** Version 2: "max 100000", or microseconds and the period they are for. */
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
