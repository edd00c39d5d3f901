import type { Histogram } from "./histogram.ts";
import type { PoolStats } from "./stats.ts";

/** Doublings that are shown, from 6.4 µs to 29 min. */
const SHOWN = 29;

/** The numbers of a pool as Prometheus reads them (text format 0.0.4). */
export function metricsOf(stats: PoolStats, wait: Histogram, run: Histogram): string {
  const { done, failed, cancelled, retried, queued, running, suspended, workersLost } = stats;
  const lines: string[] = [];
  const head = (name: string, type: string, help: string) =>
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  const one = (name: string, type: string, help: string, value: number) => {
    head(name, type, help);
    lines.push(`${name} ${value}`);
  };
  head("bsync_tasks_total", "counter", "Tasks that are settled, by outcome.");
  for (const [state, count] of Object.entries({ done, failed, cancelled })) {
    lines.push(`bsync_tasks_total{state="${state}"} ${count}`);
  }
  one("bsync_retries_total", "counter", "Attempts that were followed by another.", retried);
  one("bsync_workers_lost_total", "counter", "Workers that ended while needed.", workersLost);
  one("bsync_queued", "gauge", "Tasks that have not begun.", queued);
  one("bsync_running", "gauge", "Tasks that run.", running);
  one("bsync_suspended", "gauge", "Tasks that wait for tasks of their own.", suspended);
  const there = stats.workers.filter(({ state }) => state !== "gone").length;
  one("bsync_workers", "gauge", "Workers that are there.", there);
  one("bsync_uptime_seconds", "gauge", "Time since the pool was opened.", stats.uptime / 1000);
  for (const [name, help, times] of [
    ["bsync_task_wait_seconds", "Time until tasks began.", wait],
    ["bsync_task_run_seconds", "Time that functions ran.", run],
  ] as const) {
    head(name, "histogram", help);
    lines.push(...bucketsOf(name, times));
  }
  return `${lines.join("\n")}\n`;
}

function bucketsOf(name: string, times: Histogram): string[] {
  const lines: string[] = [];
  let below = 0;
  for (const { upTo, count } of times.octaves.slice(0, SHOWN)) {
    below += count;
    lines.push(`${name}_bucket{le="${Number((upTo / 1000).toPrecision(6))}"} ${below}`);
  }
  lines.push(`${name}_bucket{le="+Inf"} ${times.count}`);
  lines.push(`${name}_sum ${times.sum / 1000}`, `${name}_count ${times.count}`);
  return lines;
}
