/** The tables of a report. */
import { countOf, lengthOf, percentOf } from "../../watch/lengths.ts";
import { escaped, short } from "./markup.ts";
import { hostOf, sortedWorkers } from "./rows.ts";
import type { Totals, WorkerTotals } from "./totals.ts";
import type { Names } from "./verdicts.ts";

const MOST_ROWS = 256;
const LONGEST = 20;
const MOST_FAILURES = 50;
const MOST_FUNCTIONS = 30;

/** A column: its head, whether it is a text, or one that may take lines, and what stands there. */
type Column<T> = readonly [
  head: string,
  kind: "text" | "message" | "number",
  cell: (row: T) => string,
];

/** Cells are markup already. */
function table<T>(rows: readonly T[], columns: readonly Column<T>[], most: number): string {
  const look = (kind: string) => (kind === "number" ? "" : ` class="${kind}"`);
  const head = columns.map(([name, kind]) => `<th${look(kind)}>${escaped(name)}</th>`).join("");
  const lines = rows.slice(0, most).map((row) => {
    const cells = columns.map(([, kind, cell]) => `<td${look(kind)}>${cell(row)}</td>`);
    return `<tr>${cells.join("")}</tr>`;
  });
  const rest = rows.length - lines.length;
  const more = rest > 0 ? `<p class="soft">and ${countOf(rest)} more</p>` : "";
  return `<div class="wide"><table><tr>${head}</tr>${lines.join("\n")}</table></div>${more}`;
}

export function failureTable(totals: Totals, nameOf: Names): string {
  const rows = [...totals.failures.values()].sort((a, b) => b.count - a.count);
  if (rows.length === 0) return "";
  const columns: Column<(typeof rows)[number]>[] = [
    ["times", "number", ({ count }) => countOf(count)],
    ["message", "message", ({ message }) => short(message, 300)],
    ["first of", "text", ({ name }) => short(name, 60)],
    ["task", "number", ({ task }) => (task === null ? "" : String(task))],
    ["on", "text", ({ worker }) => short(nameOf(worker), 60)],
    ["at", "number", ({ at }) => lengthOf(at)],
  ];
  return table(rows, columns, MOST_FAILURES);
}

export function functionTable(totals: Totals): string {
  const rows = [...totals.functions.values()].sort((a, b) => b.run - a.run);
  if (rows.length === 0) return "";
  const all = rows.reduce((sum, { run }) => sum + run, 0);
  const columns: Column<(typeof rows)[number]>[] = [
    ["function", "text", ({ name }) => short(name, 60)],
    ["tasks", "number", ({ tasks }) => countOf(tasks)],
    ["failed", "number", ({ failed }) => countOf(failed)],
    ["ran", "number", ({ run }) => lengthOf(run)],
    ["share", "number", ({ run }) => percentOf(all > 0 ? run / all : 0)],
    ["mean", "number", ({ run, tasks }) => lengthOf(run / Math.max(1, tasks))],
    ["longest", "number", ({ max }) => lengthOf(max)],
  ];
  return table(rows, columns, MOST_FUNCTIONS);
}

export function longestTable(totals: Totals, nameOf: Names): string {
  const rows = totals.longest.all.filter(({ tasks }) => tasks === 1).slice(0, LONGEST);
  if (rows.length === 0) return "";
  const columns: Column<(typeof rows)[number]>[] = [
    ["ran", "number", ({ length }) => lengthOf(length)],
    ["function", "text", ({ name }) => short(name, 60)],
    ["task", "number", ({ task }) => (task === null ? "" : String(task))],
    ["on", "text", ({ worker }) => short(nameOf(worker), 60)],
    ["began at", "number", ({ begin }) => lengthOf(begin)],
    ["waited", "number", ({ wait }) => (wait === null ? "" : lengthOf(wait))],
    ["outcome", "text", ({ state }) => short(state)],
  ];
  return table(rows, columns, LONGEST);
}

interface Group {
  readonly name: string;
  readonly workers: readonly WorkerTotals[];
}

function groupTable(totals: Totals, first: string, groups: readonly Group[]): string {
  const sum = ({ workers }: Group, of: (worker: WorkerTotals) => number) =>
    workers.reduce((all, worker) => all + of(worker), 0);
  const there = ({ ready, gone }: WorkerTotals) => (gone ?? totals.end) - (ready ?? 0);
  const tasks = (group: Group) => sum(group, (one) => one.tasks);
  const run = (group: Group) => sum(group, (one) => one.run);
  const columns: Column<Group>[] = [
    [first, "text", ({ name }) => short(name, 60)],
    ...(first === "host"
      ? [["workers", "number", ({ workers }: Group) => countOf(workers.length)] as Column<Group>]
      : []),
    ["tasks", "number", (group) => countOf(tasks(group))],
    ["failed", "number", (group) => countOf(sum(group, (one) => one.failed))],
    ["ran", "number", (group) => lengthOf(run(group))],
    ["of its time", "number", (group) => percentOf(run(group) / Math.max(1e-9, sum(group, there)))],
    ["mean", "number", (group) => lengthOf(run(group) / Math.max(1, tasks(group)))],
    ["lost", "number", (group) => countOf(sum(group, (one) => one.lost))],
  ];
  return table(groups, columns, MOST_ROWS);
}

export function hostTable(totals: Totals): string {
  const hosts = Map.groupBy(sortedWorkers(totals), ({ pid }) => pid);
  const groups = [...hosts].map(([pid, workers]) => ({ name: hostOf(totals, pid), workers }));
  return groups.length === 0 ? "" : groupTable(totals, "host", groups);
}

export function workerTable(totals: Totals): string {
  const groups = sortedWorkers(totals).map((worker) => {
    const name = totals.threads.get(worker.key) ?? worker.key;
    return { name: `${hostOf(totals, worker.pid)}: ${name}`, workers: [worker] };
  });
  return groups.length === 0 ? "" : groupTable(totals, "worker", groups);
}
