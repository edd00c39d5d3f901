/** The share that a job's ranks have of their hosts' cores: a pure function of the ranks' facts. */
import type { HostFacts, RankFacts } from "./report.ts";

/** The numbers in a list such as "0-3,8". */
function coresIn(list: string): number[] {
  return list.split(",").flatMap((part) => {
    const [first = 0, last = first] = part.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** The greatest number of these sets that can each have an element of its own. */
function mostOwn(sets: readonly (readonly number[])[]): number {
  const owners = new Map<number, number>();
  const take = (set: number, seen: Set<number>): boolean => {
    for (const core of sets[set]!) {
      if (seen.has(core)) continue;
      seen.add(core);
      const owner = owners.get(core);
      if (owner !== undefined && !take(owner, seen)) continue;
      owners.set(core, set);
      return true;
    }
    return false;
  };
  return sets.filter((_, set) => take(set, new Set())).length;
}

/** Whether the ranks of one machine cannot have a core each. */
function isOversubscribed(ranks: readonly RankFacts[]): boolean {
  if (mostOwn(ranks.map(({ affinity }) => coresIn(affinity))) < ranks.length) return true;
  return [...groupsOf(ranks).values()].some(
    ([{ quota }, ...others]) => quota !== null && quota.cores < 1 + others.length,
  );
}

/** Ranks by the control groups that limit them. Containers have a group each, of the same name. */
function groupsOf(ranks: readonly RankFacts[]): Map<string, [RankFacts, ...RankFacts[]]> {
  const groups = Map.groupBy(ranks, ({ host, quota }) => `${host} ${quota?.group ?? ""}`);
  return groups as Map<string, [RankFacts, ...RankFacts[]]>;
}

function quotaOf(ranks: readonly RankFacts[]): number | null {
  let sum = 0;
  for (const [{ quota }] of groupsOf(ranks).values()) {
    if (quota === null) return null;
    sum += quota.cores;
  }
  return sum;
}

/**
 * Hosts of one name may be several machines, and one machine may have containers with their own
 * names.
 */
export function hostsOf(ranks: readonly RankFacts[]): HostFacts[] {
  const machines = Map.groupBy(ranks, ({ machine, host }) => machine || host);
  const hosts = Map.groupBy(ranks, ({ machine, host }) => `${host} ${machine}`);
  return [...hosts.values()].map((those) => {
    const [{ host, machine, cores }] = those as [RankFacts];
    const sets = those.map((rank) => coresIn(rank.affinity));
    return {
      host,
      ranks: those.length,
      cores,
      coresOfRanks: new Set(sets.flat()).size,
      quota: quotaOf(those),
      oversubscribed: isOversubscribed(machines.get(machine || host)!),
      bound: sets.some((set) => set.length < cores),
    };
  });
}
