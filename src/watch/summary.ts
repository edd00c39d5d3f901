import type { Times } from "./histogram.ts";
import { bytesOf, clockOf, countOf, lengthOf, percentOf } from "./lengths.ts";
import type { PoolStats, WorkerStats } from "./stats.ts";
import type { Watch } from "./watch.ts";

/** Failures that are named. */
const MOST_FAILURES = 5;

/** The numbers of a pool for a person, as Slurm's `seff` has them for a job. */
export function summarize(watch: Watch, stats: PoolStats): string {
  const lines: [label: string, text: string][] = [
    ["State", watch.end?.toUpperCase() ?? "OPEN"],
    ["Workers", workersIn(stats)],
    ["Wall-clock time", `${clockOf(stats.uptime)} (${lengthOf(stats.uptime)})`],
    ...processors(stats),
    ["Busy", busyIn(stats)],
    ["Memory", memoryIn(watch, stats)],
    ["Tasks", tasksIn(stats)],
    ["Wait", timesIn(stats.wait)],
    ["Run", timesIn(stats.run)],
  ];
  const { longest, failures } = watch;
  for (const { id, name, worker, us } of longest.calls) {
    lines.push(["Longest", `${lengthOf(us / 1000)} in ${name} (task ${id}) on worker ${worker}`]);
  }
  const { most } = failures;
  for (const [text, count] of most.slice(0, MOST_FAILURES)) {
    lines.push(["Failures", `${countOf(count)} × ${text}`]);
  }
  const rest = most.slice(MOST_FAILURES).reduce((sum, [, count]) => sum + count, failures.others);
  if (rest > 0) lines.push(["Failures", `${countOf(rest)} with other messages`]);
  lines.push(["Workers lost", countOf(stats.workersLost)]);
  return `bsync: summary of the pool\n${lines.map(asLine).join("")}`;
}

/** A label that is that of the line before is not said again. */
function asLine([label, text]: [string, string], i: number, all: [string, string][]): string {
  const shown = all[i - 1]?.[0] === label ? "" : `${label}:`;
  return `  ${shown.padEnd(17)}${text}\n`;
}

/** Workers that are processes of their own: those of an inline pool are all the same one. */
function processesOf(workers: readonly WorkerStats[]): WorkerStats[] {
  const seen = new Set<string>();
  return workers.filter(({ host, pid, index }) => {
    const key = `${host} ${pid === 0 ? `worker ${index}` : pid}`;
    return !seen.has(key) && seen.add(key);
  });
}

function workersIn({ workers }: PoolStats): string {
  const hosts = [...new Set(workers.map(({ host }) => host))];
  const names = hosts.length > 4 ? `${hosts.slice(0, 4).join(", ")}, …` : hosts.join(", ");
  const places = hosts.length === 1 ? "1 host" : `${hosts.length} hosts`;
  return `${workers.length} on ${places} (${names})`;
}

function processors({ uptime, workers }: PoolStats): [string, string][] {
  const processes = processesOf(workers);
  const used = processes.reduce((sum, { cpu }) => sum + cpu, 0) * 1000;
  const all = uptime * processes.length;
  const share = all > 0 ? percentOf(used / all) : "0 %";
  return [
    ["CPU utilized", `${clockOf(used)} (${lengthOf(used)})`],
    ["CPU efficiency", `${share} of ${clockOf(all)} core-walltime`],
  ];
}

function busyIn({ workers }: PoolStats): string {
  const [first] = workers;
  if (first === undefined) return "no workers";
  const mean = workers.reduce((sum, { busy }) => sum + busy, 0) / workers.length;
  const text = `${percentOf(mean)} of the workers' time`;
  if (workers.length === 1) return text;
  const least = workers.reduce((a, b) => (b.busy < a.busy ? b : a), first);
  const most = workers.reduce((a, b) => (b.busy > a.busy ? b : a), first);
  return (
    `${text}: worker ${least.index} least (${percentOf(least.busy)}), ` +
    `worker ${most.index} most (${percentOf(most.busy)})`
  );
}

function memoryIn({ tallies }: Watch, { workers }: PoolStats): string {
  const processes = processesOf(workers);
  const peakOf = ({ index }: WorkerStats) => tallies[index]?.peak ?? 0;
  const sum = processes.reduce((bytes, worker) => bytes + peakOf(worker), 0);
  const [first] = processes;
  if (first === undefined) return bytesOf(0);
  const most = processes.reduce((a, b) => (peakOf(b) > peakOf(a) ? b : a), first);
  return `${bytesOf(sum)} in all, ${bytesOf(peakOf(most))} at most (worker ${most.index})`;
}

function tasksIn(stats: PoolStats): string {
  const { done, failed, cancelled, queued, running, suspended, retried } = stats;
  const parts = [
    ...[`${countOf(done)} done`, `${countOf(failed)} failed`, `${countOf(cancelled)} cancelled`],
    ...(queued > 0 ? [`${countOf(queued)} queued`] : []),
    ...(running > 0 ? [`${countOf(running)} running`] : []),
    ...(suspended > 0 ? [`${countOf(suspended)} suspended`] : []),
  ];
  return parts.join(", ") + (retried > 0 ? `; ${countOf(retried)} started again` : "");
}

function timesIn({ count, mean, p50, p99, max }: Times): string {
  if (count === 0) return "nothing has run";
  const rest = [`half within ${lengthOf(p50)}`, `99 % within ${lengthOf(p99)}`];
  return `${lengthOf(mean)} on average, ${rest.join(", ")}, the longest ${lengthOf(max)}`;
}
