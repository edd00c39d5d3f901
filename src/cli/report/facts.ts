import { Columns } from "./columns.ts";
import { slowGroups, type Slow } from "../../watch/slow.ts";
import { POOL_COLUMNS, type Long, type Totals, type WorkerTotals } from "./totals.ts";

/** Where the time of all workers went while there was work, in ms of one worker. */
export interface Spent {
  readonly all: number;
  readonly busy: number;
  /** Idle though tasks waited. */
  readonly waiting: number;
  /** Idle since no task was there; `tail` is what of this lay behind a worker's last task. */
  readonly starved: number;
  readonly tail: number;
}

/** What the verdicts are made of. Times: ms. */
export interface Facts {
  readonly workers: number;
  /** That had a task. */
  readonly used: number;
  readonly tasks: number;
  /** From when the first call was submitted to the end of the last one. */
  readonly span: number;
  readonly before: number;
  readonly after: number;
  readonly spent: Spent;
  readonly run: { readonly mean: number; readonly p50: number; readonly max: number };
  readonly wait: { readonly mean: number; readonly p50: number; readonly max: number };
  /** The call that ended last. */
  readonly final: Long | null;
  readonly slowWorkers: readonly Slow[];
  readonly slowHosts: readonly Slow[];
  readonly failed: number;
  readonly lost: number;
  readonly isFinished: boolean;
}

export function factsOf(totals: Totals): Facts {
  const workers = [...totals.workers.values()];
  const isEmpty = totals.first === Infinity;
  const [first, last] = isEmpty ? [0, 0] : [totals.first, totals.last];
  const hosts = Map.groupBy(workers, ({ pid }) => String(pid));
  const slowWorkers = slowGroups(new Map(workers.map((one) => [one.key, [one]])));
  return {
    workers: workers.length,
    used: workers.filter(({ last }) => last !== null).length,
    tasks: totals.tasks,
    span: last - first,
    before: first,
    after: totals.end - last,
    spent: spentOf(totals, workers, first, last),
    run: totals.run.times,
    wait: totals.wait.times,
    final: totals.final,
    slowWorkers,
    slowHosts: hosts.size > 1 ? slowGroups(hosts) : [],
    failed: totals.outcomes.get("failed") ?? 0,
    lost: workers.reduce((sum, { lost }) => sum + lost, 0),
    isFinished: totals.isFinished,
  };
}

function spentOf(
  totals: Totals,
  workers: readonly WorkerTotals[],
  first: number,
  last: number,
): Spent {
  const alive = new Columns(POOL_COLUMNS);
  for (const { ready, gone } of workers) {
    alive.add(Math.max(first, ready ?? 0), Math.min(last, gone ?? last));
  }
  for (const columns of [alive, totals.busy, totals.waiting]) columns.reach(totals.end);
  const [there, ran, waited] = [alive, totals.busy, totals.waiting].map((one) => one.values());
  let [all, busy, waiting] = [0, 0, 0];
  for (let i = 0; i < POOL_COLUMNS; i++) {
    // Calls of one worker may overlap.
    const used = Math.min(there![i]!, ran![i]!);
    all += there![i]!;
    busy += used;
    // One task that waits can keep one worker busy, and no other.
    waiting += Math.min(there![i]! - used, waited![i]!);
  }
  const starved = Math.max(0, all - busy - waiting);
  const ends = workers.map(({ last: own, gone }) => {
    return own === null ? 0 : Math.min(gone ?? last, last) - own;
  });
  const tail = ends.reduce((sum, ms) => sum + Math.max(0, ms), 0);
  // The end of a trace that was cut off is not that of the work.
  return { all, busy, waiting, starved, tail: totals.isFinished ? Math.min(starved, tail) : 0 };
}
