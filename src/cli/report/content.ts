/** The first screen of a report: what it says and draws, as a page or as a picture. */
import { countOf, lengthOf, percentOf } from "../../watch/lengths.ts";
import { COLOURS, curve, timeline } from "./charts.ts";
import { Columns } from "./columns.ts";
import type { Facts } from "./facts.ts";
import { resampled } from "./resample.ts";
import { rowsOf } from "./rows.ts";
import { POOL_COLUMNS, type Totals } from "./totals.ts";
import type { Verdict } from "./verdicts.ts";

export interface Report {
  readonly path: string;
  readonly totals: Totals;
  readonly facts: Facts;
  readonly verdicts: readonly Verdict[];
  /** What is to be known about the trace itself. */
  readonly remarks: readonly string[];
}

/** What a colour stands for. */
export interface Key {
  /** The class that has the colour. */
  readonly kind: string;
  readonly text: string;
}

export interface Chart {
  readonly title: string;
  readonly svg: string;
  readonly keys: readonly Key[];
  readonly note: string;
  /** What is to be done on a page, and cannot be with a picture. */
  readonly hint: string;
}

/** Points of a curve. */
const POINTS = 400;

/** Letters of a function's name. */
const MOST_NAME = 40;

export function titleOf({ path }: Report): string {
  return `Report of ${fileOf(path)}`;
}

export function fileOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Since when, and what is to be known of the trace. */
export function aboutOf({ totals, remarks }: Report): string {
  const started = /^bsync trace from (.+)$/.exec(totals.notes[0] ?? "")?.[1];
  return [...(started === undefined ? [] : [`Traced from ${started}.`]), ...remarks].join(" ");
}

/** The numbers, each with what it is. */
export function numbersOf({ totals, facts }: Report): (readonly [value: string, what: string])[] {
  const { spent: all, workers, tasks, span, run, wait } = facts;
  const hosts = new Set([...totals.workers.values()].map(({ pid }) => pid)).size;
  const others = [...totals.outcomes].filter(([state]) => state !== "done");
  return [
    [all.all > 0 ? percentOf(all.busy / all.all) : "–", "of the workers' time used"],
    [countOf(workers), `workers on ${countOf(hosts)} ${hosts === 1 ? "host" : "hosts"}`],
    [countOf(tasks), "tasks ended"],
    ...others.map(([state, count]) => [countOf(count), state] as const),
    [lengthOf(span), "first to last task"],
    [lengthOf(run.p50), `run, median (longest ${unbroken(run.max)})`],
    [lengthOf(wait.p50), `wait, median (longest ${unbroken(wait.max)})`],
  ];
}

/** A length that stays on one line. */
function unbroken(ms: number): string {
  return lengthOf(ms).replace(" ", "\u00a0");
}

/** How a verdict looks: good, bad, or as most do. */
export function lookOf({ kind }: Verdict): "balanced" | "trouble" | "" {
  if (kind === "balanced") return "balanced";
  return kind === "failures" || kind === "lost workers" ? "trouble" : "";
}

/** Where the time of the workers went; empty where there was none. */
export function spentOf({ facts }: Report): (Key & { readonly ms: number })[] {
  const { all, busy, waiting, starved, tail } = facts.spent;
  if (!(all > 0)) return [];
  const parts = [
    ["busy", busy, "functions ran"],
    ["waiting", waiting, "idle though tasks waited"],
    ["starved", starved - tail, "idle for lack of tasks"],
    ["tail", tail, "behind the last task of a worker"],
  ] as const;
  return parts.map(([kind, ms, what]) => ({ kind, ms, text: `${what} ${percentOf(ms / all)}` }));
}

/** Curves and timeline, this with `most` single tasks. */
export function chartsOf(report: Report, most: number): Chart[] {
  const { totals } = report;
  if (!(totals.end > 0) || totals.workers.size === 0) return [];
  return [...curves(totals), rowsAndTasks(report, most)];
}

function curves({ workers, end, waiting, busy }: Totals): Chart[] {
  const alive = new Columns(POOL_COLUMNS);
  for (const { ready, gone } of workers.values()) alive.add(ready ?? 0, gone ?? end);
  const capacity = Math.max(...resampled(alive, end, POINTS));
  const waits = resampled(waiting, end, POINTS);
  const ran = curve(resampled(busy, end, POINTS), end, capacity, "busy workers over time");
  const waited = curve(waits, end, Math.max(...waits), "waiting tasks over time");
  const plain = { keys: [], note: "", hint: "" };
  return [
    { title: "Workers that ran a function", svg: ran, ...plain },
    { title: "Tasks that waited", svg: waited, ...plain },
  ];
}

function rowsAndTasks({ totals, facts }: Report, most: number): Chart {
  const ranked = [...totals.functions.values()].sort((a, b) => b.run - a.run).slice(0, COLOURS);
  const colours = new Map(ranked.map(({ name }, i) => [name, i]));
  const slices = totals.longest.all.slice(0, most);
  const hidden = totals.longest.dropped + totals.longest.all.length - slices.length;
  const look = {
    colourOf: (name: string) => colours.get(name) ?? COLOURS,
    areAll: hidden === 0,
    losses: totals.losses,
  };
  const rows = rowsOf(totals);
  const isSingle = rows.every(({ keys }) => keys.length === 1);
  const all = hidden === 0 ? "All tasks" : `The ${countOf(slices.length)} longest`;
  const rest = hidden === 0 ? "" : `; ${countOf(hidden)} shorter ones are shades of how busy`;
  const keys: Key[] = ranked.map(({ name }, i) => ({ kind: `c${i}`, text: nameOf(name) }));
  if (facts.failed > 0) keys.push({ kind: "failed", text: "failed" });
  if (totals.losses.length > 0) keys.push({ kind: "lost", text: "a worker was lost" });
  return {
    title: "Timeline",
    svg: timeline(rows, slices, totals.end, look),
    keys,
    note: isSingle ? `${all}${rest}.` : "Neighbours share a row; shades show how busy they were.",
    hint: isSingle ? "A pointer over one shows which it is." : "",
  };
}

function nameOf(name: string): string {
  return name.length <= MOST_NAME ? name : `${name.slice(0, MOST_NAME - 1).trimEnd()}…`;
}
