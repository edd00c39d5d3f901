/** The page of a report: one file of HTML, with no script and nothing that it would load. */
import { countOf, lengthOf, percentOf } from "../../watch/lengths.ts";
import { COLOURS, curve, histogram, spentBar, timeline } from "./charts.ts";
import { Columns } from "./columns.ts";
import type { Facts } from "./facts.ts";
import { escaped, short } from "./markup.ts";
import { resampled } from "./resample.ts";
import { rowsOf, workerName } from "./rows.ts";
import { STYLE } from "./style.ts";
import { failureTable, functionTable, hostTable, longestTable, workerTable } from "./tables.ts";
import { POOL_COLUMNS, type Totals } from "./totals.ts";
import { type Verdict } from "./verdicts.ts";

export interface Report {
  readonly path: string;
  readonly totals: Totals;
  readonly facts: Facts;
  readonly verdicts: readonly Verdict[];
  /** What is to be known about the trace itself. */
  readonly remarks: readonly string[];
}

/** Bytes of a page. */
const MOST_BYTES = 5e6;

/** Points of a curve. */
const POINTS = 400;

/** As many single tasks in the timeline as there is room for. */
export function pageOf(report: Report): string {
  for (let most = 4_000; most > 0; most = Math.floor(most / 4)) {
    const page = pageWith(report, most);
    if (Buffer.byteLength(page) <= MOST_BYTES) return page;
  }
  return pageWith(report, 0);
}

function pageWith(report: Report, slices: number): string {
  const { path, totals, verdicts, remarks } = report;
  const started = /^bsync trace from (.+)$/.exec(totals.notes[0] ?? "")?.[1];
  const name = path.slice(path.lastIndexOf("/") + 1);
  const parts = [
    `<h1>Report of ${short(name)}</h1>`,
    `<p class="soft">${started === undefined ? "" : `Traced from ${escaped(started)}. `}${remarks
      .map(escaped)
      .join(" ")}</p>`,
    numbers(report),
    "<h2>What kept the workers</h2>",
    ...verdicts.map(verdictOf),
    spent(report.facts),
    ...pictures(report, slices),
    ...tables(totals),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${short(name)} – bsync report</title>
<style>${STYLE}</style></head>
<body>
${parts.join("\n")}
</body></html>
`;
}

function numbers({ totals, facts }: Report): string {
  const { spent: all, workers, tasks, span, run, wait } = facts;
  const hosts = new Set([...totals.workers.values()].map(({ pid }) => pid)).size;
  const others = [...totals.outcomes].filter(([state]) => state !== "done");
  const shown: [string, string][] = [
    [all.all > 0 ? percentOf(all.busy / all.all) : "–", "of the workers' time used"],
    [countOf(workers), `workers on ${countOf(hosts)} ${hosts === 1 ? "host" : "hosts"}`],
    [countOf(tasks), "tasks ended"],
    ...others.map(([state, count]): [string, string] => [countOf(count), state]),
    [lengthOf(span), "first to last task"],
    [lengthOf(run.p50), `run, median (longest ${unbroken(run.max)})`],
    [lengthOf(wait.p50), `wait, median (longest ${unbroken(wait.max)})`],
  ];
  const items = shown.map(([value, what]) => `<li><b>${value}</b>${escaped(what)}</li>`);
  return `<ul class="numbers">${items.join("")}</ul>`;
}

/** A length that stays on one line. */
function unbroken(ms: number): string {
  return lengthOf(ms).replace(" ", "\u00a0");
}

function verdictOf({ kind, title, text }: Verdict): string {
  const isTrouble = kind === "failures" || kind === "lost workers";
  const look = kind === "balanced" ? " balanced" : isTrouble ? " trouble" : "";
  return `<div class="verdict${look}"><h3>${escaped(title)}</h3><p>${escaped(text)}</p></div>`;
}

function spent({ spent: { all, busy, waiting, starved, tail } }: Facts): string {
  if (!(all > 0)) return "";
  const parts = [
    ["busy", busy, "functions ran"],
    ["waiting", waiting, "idle though tasks waited"],
    ["starved", starved - tail, "idle for lack of tasks"],
    ["tail", tail, "behind the last task of a worker"],
  ] as const;
  const key = parts.map(([kind, ms, what]) => keyOf(kind, `${what} ${percentOf(ms / all)}`));
  const bar = spentBar(parts.map(([kind, ms]) => [kind, ms] as const));
  return `<figure>${bar}<figcaption>${key.join("")}</figcaption></figure>`;
}

/** What a colour stands for. */
function keyOf(kind: string, what: string): string {
  return `<span><i class="key ${kind}"></i>${what}</span>`;
}

function pictures(report: Report, most: number): string[] {
  const { totals } = report;
  if (!(totals.end > 0) || totals.workers.size === 0) return [];
  return [...curves(totals), ...rowsAndTasks(report, most), histograms(totals)];
}

function curves({ workers, end, waiting, busy }: Totals): string[] {
  const alive = new Columns(POOL_COLUMNS);
  for (const { ready, gone } of workers.values()) alive.add(ready ?? 0, gone ?? end);
  const capacity = Math.max(...resampled(alive, end, POINTS));
  const waits = resampled(waiting, end, POINTS);
  const ran = curve(resampled(busy, end, POINTS), end, capacity, "busy workers over time");
  return [
    `<h2>Workers that ran a function</h2><figure>${ran}</figure>`,
    "<h2>Tasks that waited</h2>",
    `<figure>${curve(waits, end, Math.max(...waits), "waiting tasks over time")}</figure>`,
  ];
}

function rowsAndTasks({ totals, facts }: Report, most: number): string[] {
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
  const which = isSingle
    ? `${all}${rest}. A pointer over one shows which it is.`
    : "Neighbours share a row; shades show how busy they were.";
  const keys = ranked.map(({ name }, i) => keyOf(`c${i}`, short(name, 40)));
  if (facts.failed > 0) keys.push(keyOf("failed", "failed"));
  if (totals.losses.length > 0) keys.push(keyOf("lost", "a worker was lost"));
  const captions = `<figcaption>${keys.join("")}</figcaption><figcaption>${which}</figcaption>`;
  const drawn = timeline(rows, slices, totals.end, look);
  return ["<h2>Timeline</h2>", `<figure>${drawn}${captions}</figure>`];
}

function histograms({ runBars, waitBars, merged }: Totals): string {
  const ran = histogram(runBars.all, "how long tasks ran");
  const waited = histogram(waitBars.all, "how long tasks waited");
  const note = "Without the tasks that the trace has merged.";
  return (
    `<div class="two"><div><h2>How long tasks ran</h2><figure>${ran}</figure></div>` +
    `<div><h2>How long they waited</h2><figure>${waited}</figure>` +
    `${merged > 0 ? `<p class="soft">${note}</p>` : ""}</div></div>`
  );
}

function tables(totals: Totals): string[] {
  const nameOf = (key: string) => workerName(totals, key);
  const titled = (title: string, table: string) =>
    table === "" ? "" : `<h2>${title}</h2>${table}`;
  const left = [
    titled("Functions", functionTable(totals)),
    titled("Hosts", hostTable(totals)),
    titled("Workers", workerTable(totals)),
  ];
  const right = titled("The longest", longestTable(totals, nameOf));
  return [
    titled("Failures", failureTable(totals, nameOf)),
    `<div class="two"><div>${left.join("\n")}</div><div>${right}</div></div>`,
  ];
}
