/** The page of a report: one file of HTML, with no script and nothing that it would load. */
import { histogram, spentBar } from "./charts.ts";
import {
  aboutOf,
  type Chart,
  chartsOf,
  fileOf,
  type Key,
  lookOf,
  numbersOf,
  type Report,
  spentOf,
  titleOf,
} from "./content.ts";
import { escaped, short } from "./markup.ts";
import { workerName } from "./rows.ts";
import { STYLE } from "./style.ts";
import { failureTable, functionTable, hostTable, longestTable, workerTable } from "./tables.ts";
import type { Totals } from "./totals.ts";
import type { Verdict } from "./verdicts.ts";

/** Bytes of a page. */
const MOST_BYTES = 5e6;

/** As many single tasks in the timeline as there is room for. */
export function pageOf(report: Report): string {
  for (let most = 4_000; most > 0; most = Math.floor(most / 4)) {
    const page = pageWith(report, most);
    if (Buffer.byteLength(page) <= MOST_BYTES) return page;
  }
  return pageWith(report, 0);
}

function pageWith(report: Report, slices: number): string {
  const { path, totals, verdicts } = report;
  const hasCharts = totals.end > 0 && totals.workers.size > 0;
  const parts = [
    `<h1>${short(titleOf(report))}</h1>`,
    `<p class="soft">${escaped(aboutOf(report))}</p>`,
    numbers(report),
    "<h2>What kept the workers</h2>",
    ...verdicts.map(verdict),
    spent(report),
    ...chartsOf(report, slices).map(figure),
    ...(hasCharts ? [histograms(totals)] : []),
    ...tables(totals),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${short(fileOf(path))} – bsync report</title>
<style>${STYLE}</style></head>
<body>
${parts.join("\n")}
</body></html>
`;
}

function numbers(report: Report): string {
  const items = numbersOf(report).map(
    ([value, what]) => `<li><b>${value}</b>${escaped(what)}</li>`,
  );
  return `<ul class="numbers">${items.join("")}</ul>`;
}

function verdict(one: Verdict): string {
  const { title, text } = one;
  const look = `verdict ${lookOf(one)}`.trimEnd();
  return `<div class="${look}"><h3>${escaped(title)}</h3><p>${escaped(text)}</p></div>`;
}

function spent(report: Report): string {
  const parts = spentOf(report);
  if (parts.length === 0) return "";
  const bar = spentBar(parts.map(({ kind, ms }) => [kind, ms] as const));
  return `<figure>${bar}${captionOf(parts)}</figure>`;
}

function figure({ title, svg, keys, note, hint }: Chart): string {
  const said = note === "" ? "" : `<figcaption>${escaped(`${note} ${hint}`.trim())}</figcaption>`;
  return `<h2>${title}</h2><figure>${svg}${captionOf(keys)}${said}</figure>`;
}

/** What the colours stand for. */
function captionOf(keys: readonly Key[]): string {
  if (keys.length === 0) return "";
  const shown = keys.map(
    ({ kind, text }) => `<span><i class="key ${kind}"></i>${escaped(text)}</span>`,
  );
  return `<figcaption>${shown.join("")}</figcaption>`;
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
