/**
 * Logarithms of the lengths of calls, of which means are taken, since one long call hardly moves
 * those: how many, their sum, that of their squares.
 */
export interface Logs {
  count: number;
  sum: number;
  squares: number;
}

/** What is known of a worker: ms that functions ran, and the logarithms of each one's calls. */
export interface Measured {
  readonly run: number;
  readonly logs: ReadonlyMap<string, Logs>;
}

/** Workers, or hosts, that took longer than the others for the same functions. */
export interface Slow {
  readonly key: string;
  /** How many times as long. */
  readonly ratio: number;
  readonly tasks: number;
  /** ms that the same tasks would have taken less elsewhere. */
  readonly lost: number;
}

/** From which ratio, from how many tasks, and how far outside of chance something is slow. */
const LEAST_RATIO = 1.4;
const LEAST_TASKS = 5;
const LEAST_DEVIATIONS = 4;

/** A shorter call counts as this: nothing has a logarithm. */
const LEAST_MS = 1e-4;

/** A deviation of logarithms below which runs do not differ by chance alone. */
const LEAST_SPREAD = 0.1;

/** `count` calls took `ms` each. */
export function addLength(logs: Map<string, Logs>, name: string, ms: number, count: number): void {
  const log = Math.log(Math.max(ms, LEAST_MS));
  addTo(logs, name, { count, sum: count * log, squares: count * log * log });
}

/** The slow ones of these groups, the slowest first. */
export function slowGroups(groups: ReadonlyMap<string, readonly Measured[]>): Slow[] {
  const each = new Map([...groups].map(([key, workers]) => [key, sumOf(workers)]));
  const all = new Map<string, Logs>();
  for (const logs of each.values()) for (const [name, one] of logs) addTo(all, name, one);
  const found: Slow[] = [];
  for (const [key, logs] of each) {
    const ratio = ratioOf(logs, all);
    if (ratio === null) continue;
    const run = groups.get(key)!.reduce((sum, worker) => sum + worker.run, 0);
    found.push({ key, ...ratio, lost: run * (1 - 1 / ratio.ratio) });
  }
  return found.sort((a, b) => b.ratio - a.ratio);
}

function sumOf(workers: readonly Measured[]): Map<string, Logs> {
  const sum = new Map<string, Logs>();
  for (const { logs } of workers) for (const [name, one] of logs) addTo(sum, name, one);
  return sum;
}

function addTo(sums: Map<string, Logs>, name: string, { count, sum, squares }: Logs): void {
  const known = sums.get(name) ?? { count: 0, sum: 0, squares: 0 };
  sums.set(name, {
    count: known.count + count,
    sum: known.sum + sum,
    squares: known.squares + squares,
  });
}

/** Compared with all the others, function by function: by means of logarithms. */
function ratioOf(
  own: ReadonlyMap<string, Logs>,
  all: ReadonlyMap<string, Logs>,
): { ratio: number; tasks: number } | null {
  let [difference, tasks, variance] = [0, 0, 0];
  for (const [name, { count, sum, squares }] of own) {
    const total = all.get(name)!;
    const others = total.count - count;
    if (others < LEAST_TASKS || count === 0) continue;
    const mean = (total.sum - sum) / others;
    const spread = (total.squares - squares) / others - mean * mean;
    difference += sum - count * mean;
    // Of its own mean and of that of the others.
    variance += count * Math.max(spread, LEAST_SPREAD ** 2) * (1 + count / others);
    tasks += count;
  }
  if (tasks < LEAST_TASKS) return null;
  const ratio = Math.exp(difference / tasks);
  const deviations = difference / Math.sqrt(variance);
  return ratio >= LEAST_RATIO && deviations >= LEAST_DEVIATIONS ? { ratio, tasks } : null;
}
