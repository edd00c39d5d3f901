import { resampled } from "./resample.ts";
import type { Totals, WorkerTotals } from "./totals.ts";

/** Rows of the timeline, and columns of all of them. */
const MOST_ROWS = 256;
const MOST_CELLS = 100_000;

/** A row of the timeline: a worker, or neighbours where there are too many. */
export interface Row {
  readonly label: string;
  readonly host: string;
  /** The keys of its workers. */
  readonly keys: readonly string[];
  /** The share of the time that functions ran, of each column. */
  readonly shares: readonly number[];
}

/** Hosts in the order of the trace, and their workers. */
export function sortedWorkers(totals: Totals): WorkerTotals[] {
  const place = ({ key }: WorkerTotals) => Number(key.split(":")[1]);
  return [...totals.workers.values()].sort((a, b) => a.pid - b.pid || place(a) - place(b));
}

export function hostOf(totals: Totals, pid: number): string {
  return (totals.processes.get(pid) ?? `host ${pid}`).replace(/^host /, "");
}

export function workerName(totals: Totals, key: string): string {
  const [pid, tid] = key.split(":").map(Number);
  const name = totals.threads.get(key) ?? `worker ${Math.floor(tid! / 1000) - 1}`;
  // The first process is the pool.
  return totals.processes.size > 2 ? `${name} on ${hostOf(totals, pid!)}` : name;
}

export function rowsOf(totals: Totals): Row[] {
  const workers = sortedWorkers(totals);
  const each = Math.ceil(workers.length / MOST_ROWS);
  const columns = Math.min(400, Math.floor(MOST_CELLS / Math.ceil(workers.length / each)));
  const rows: Row[] = [];
  for (let i = 0; i < workers.length; i += each) {
    const own = workers.slice(i, i + each);
    const sums = Array<number>(columns).fill(0);
    for (const worker of own) {
      const busy = resampled(worker.columns, totals.end, columns);
      for (let x = 0; x < columns; x++) sums[x]! += Math.min(1, busy[x]!) / own.length;
    }
    const first = totals.threads.get(own[0]!.key) ?? workerName(totals, own[0]!.key);
    const label = own.length === 1 ? first : `${first} and ${own.length - 1} more`;
    const keys = own.map(({ key }) => key);
    rows.push({ label, host: hostOf(totals, own[0]!.pid), keys, shares: sums });
  }
  return rows;
}
