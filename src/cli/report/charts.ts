/** The pictures of a report, as SVG. */
import { countOf, lengthOf, percentOf } from "../../watch/lengths.ts";
import type { Bar } from "./bars.ts";
import { at, escaped, short } from "./markup.ts";
import type { Row } from "./rows.ts";
import type { Long, Loss } from "./totals.ts";

const WIDTH = 1_192;
const LEFT = 190;
const RIGHT = 22;
const INNER = WIDTH - LEFT - RIGHT;

/** Letters at the left of a row. */
const MOST_LABEL = 29;

/** Shades of a row where no single tasks are drawn. */
const SHADES = 4;

/** How many functions have a colour of their own. */
export const COLOURS = 7;

function svg(height: number, label: string, body: string, look = "detailed"): string {
  const size = `viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`;
  return `<svg ${size} class="${look}" role="img" aria-label="${escaped(label)}">${body}</svg>`;
}

/** Times below a picture, from 0 to `end` ms. */
function timeAxis(end: number, y: number): string {
  const step = roundStep(end / 8);
  let marks = "";
  for (let i = 0; i * step <= end && i < 50; i++) {
    const x = at(LEFT + (INNER * i * step) / end);
    marks += `<path class="grid" d="M${x} 0V${at(y)}"/>`;
    const time = i === 0 ? "0" : lengthOf(i * step);
    marks += `<text x="${x}" y="${at(y + 14)}" text-anchor="middle">${time}</text>`;
  }
  return marks;
}

/** 1, 2 or 5 times a power of ten, not below this. */
function roundStep(least: number): number {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((n) => n * power >= least * 0.999)!;
}

/** A curve over time, filled. */
export function curve(values: readonly number[], end: number, most: number, name: string): string {
  const height = 110;
  const top = most > 0 ? most : 1;
  const y = (value: number) => at(height - (height - 8) * Math.min(1, value / top));
  const points = values.map((value, i) => {
    const [x, next] = [i, i + 1].map((n) => at(LEFT + (INNER * n) / values.length));
    return `L${x} ${y(value)}L${next} ${y(value)}`;
  });
  const shape = `M${LEFT} ${height}${points.join("")}L${LEFT + INNER} ${height}Z`;
  const levels = [0, top].map(
    (level) =>
      `<text x="${LEFT - 8}" y="${Number(y(level)) + 4}" text-anchor="end">${
        level > 0 && level < 10 ? at(level) : countOf(level)
      }</text>`,
  );
  const line = `<path class="grid" d="M${LEFT} ${y(top)}H${LEFT + INNER}"/>`;
  const body = `${timeAxis(end, height)}${line}<path class="area" d="${shape}"/>${levels.join("")}`;
  return svg(height + 20, name, body);
}

/** How the tasks in a timeline look, and which workers were lost. */
export interface Look {
  readonly colourOf: (name: string) => number;
  /** Whether all slices are given. */
  readonly areAll: boolean;
  readonly losses: readonly Loss[];
}

/**
 * Workers as rows: shades of how busy each was, unless all of its slices are there, and over these
 * the longest of the slices.
 */
export function timeline(
  rows: readonly Row[],
  slices: readonly Long[],
  end: number,
  { colourOf, areAll, losses }: Look,
): string {
  const each = rows.length <= 40 ? 18 : rows.length <= 100 ? 12 : 6;
  const isSingle = rows.every(({ keys }) => keys.length === 1);
  const places = new Map(rows.flatMap(({ keys }, i) => keys.map((key) => [key, i])));
  let body = "";
  let host = "";
  for (const [i, row] of rows.entries()) {
    const y = i * each;
    const step = each < 10 ? Math.ceil(10 / each) : 1;
    const label = host === row.host ? row.label : `${hostIn(row)}: ${row.label}`;
    if (i % step === 0) {
      const place = `x="${LEFT - 8}" y="${y + Math.min(each, 15) - 2}" text-anchor="end"`;
      body += `<text ${place}>${short(label, MOST_LABEL)}</text>`;
    }
    host = row.host;
    body += shadesOf(isSingle && areAll ? [] : row.shares, y + 1, each - 2);
  }
  for (const slice of isSingle ? slices : []) {
    const row = places.get(slice.worker);
    if (row !== undefined) body += block(slice, row * each + 1, each - 2, end, colourOf);
  }
  for (const loss of losses) {
    const row = places.get(loss.worker);
    if (row !== undefined) body += mark(loss, row * each, each, end);
  }
  const height = rows.length * each + 2;
  return svg(height + 20, "timeline of the workers", timeAxis(end, height) + body);
}

/** The end of its host's name, where nodes have their numbers, as far as there is room for it. */
function hostIn({ host, label }: Row): string {
  const name = host.split(".", 1)[0]!;
  const room = Math.max(4, MOST_LABEL - label.length - 2);
  return name.length <= room ? name : `…${name.slice(1 - room)}`;
}

function mark({ at: ms, why }: Loss, y: number, height: number, end: number): string {
  const place = `x="${at(LEFT + (INNER * ms) / end - 1.5)}" y="${y}" width="3" height="${height}"`;
  return `<rect class="lost" ${place}><title>${short(why)}, at ${lengthOf(ms)}</title></rect>`;
}

/** One path for each shade. */
function shadesOf(shares: readonly number[], y: number, height: number): string {
  const paths = Array<string>(SHADES + 1).fill("");
  const shadeOf = (i: number) => (shares[i]! > 0.005 ? Math.ceil(shares[i]! * SHADES) : 0);
  for (let i = 0; i < shares.length;) {
    const shade = Math.min(SHADES, shadeOf(i));
    const from = i;
    while (i < shares.length && Math.min(SHADES, shadeOf(i)) === shade) i++;
    const [x, to] = [from, i].map((n) => LEFT + (INNER * n) / shares.length);
    paths[shade]! += `M${at(x!)} ${y}H${at(to!)}v${height}H${at(x!)}Z`;
  }
  const shown = paths.map((d, i) => (d === "" || i === 0 ? "" : `<path class="s${i}" d="${d}"/>`));
  return `<path class="row" d="M${LEFT} ${y}h${INNER}v${height}h${-INNER}Z"/>${shown.join("")}`;
}

function block(
  slice: Long,
  y: number,
  height: number,
  end: number,
  colourOf: (name: string) => number,
): string {
  const { name, begin, length, tasks, task, wait, state, error } = slice;
  const x = LEFT + (INNER * begin) / end;
  const width = (INNER * length) / end;
  const kind = ["failed", "suspended", "cancelled", "retried"].includes(state) ? state : null;
  const parts = [
    `${short(name, 60)}${tasks > 1 ? ` ×${countOf(tasks)}` : ""}`,
    ...(task === null || tasks > 1 ? [] : [`task ${task}`]),
    `ran ${lengthOf(length)} from ${lengthOf(begin)}`,
    ...(wait === null || tasks > 1 ? [] : [`waited ${lengthOf(wait)}`]),
    ...(state === "done" ? [] : [short(state)]),
    ...(error === null ? [] : [short(error)]),
  ];
  const wide = at(Math.max(0.6, width - 0.4));
  const shape = `x="${at(x)}" y="${y}" width="${wide}" height="${height}"`;
  const title = `<title>${parts.join(", ")}</title>`;
  const look = `c${colourOf(name)}${kind === null ? "" : ` ${kind}`}`;
  return `<rect class="${look}" ${shape}>${title}</rect>`;
}

/** How often each length was met. */
export function histogram(bars: readonly Bar[], name: string): string {
  const [height, width, top] = [130, 580, 16];
  const most = Math.max(1, ...bars.map(({ count }) => count));
  const total = bars.reduce((sum, { count }) => sum + count, 0);
  const each = Math.min(60, (width - 30) / Math.max(1, bars.length));
  const every = Math.ceil(56 / each);
  const level = `<path class="grid" d="M0 ${top}H${width}"/>`;
  let body = `${level}<text x="0" y="11">${countOf(most)}</text>`;
  for (const [i, { from, to, count }] of bars.entries()) {
    const x = i * each;
    const tall = (height - top) * (count / most);
    const share = percentOf(count / Math.max(1, total));
    const title = `${lengthOf(from)} to ${lengthOf(to)}: ${countOf(count)} (${share})`;
    const place = `x="${at(x)}" y="${at(height - tall)}"`;
    const size = `width="${at(each - 1)}" height="${at(tall)}"`;
    body += `<rect class="bar" ${place} ${size}><title>${title}</title></rect>`;
    if (i % every === 0) body += `<text x="${at(x)}" y="${height + 14}">${lengthOf(from)}</text>`;
  }
  const size = `viewBox="0 0 ${width} ${height + 20}" width="${width}" height="${height + 20}"`;
  return `<svg ${size} role="img" aria-label="${escaped(name)}">${body}</svg>`;
}

/** Where all of the time went, as one bar. */
export function spentBar(parts: readonly (readonly [kind: string, ms: number])[]): string {
  const total = parts.reduce((sum, [, ms]) => sum + ms, 0);
  let body = "";
  let x = 0;
  for (const [kind, ms] of parts) {
    const width = total > 0 ? (WIDTH * ms) / total : 0;
    body += `<rect class="${kind}" x="${at(x)}" y="0" width="${at(width)}" height="26"/>`;
    x += width;
  }
  const strip = svg(26, "where the time of the workers went", body, "strip");
  return strip.replace("<svg ", '<svg preserveAspectRatio="none" ');
}
