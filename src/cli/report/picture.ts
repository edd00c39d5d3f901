/**
 * The first screen of a report as one SVG, for `--png`. A picture has no layout of its own: texts
 * are broken into lines, and put below each other, here.
 */
import { countOf } from "../../watch/lengths.ts";
import { spentBar } from "./charts.ts";
import {
  aboutOf,
  chartsOf,
  type Key,
  lookOf,
  numbersOf,
  type Report,
  spentOf,
  titleOf,
} from "./content.ts";
import { escaped } from "./markup.ts";
import { PICTURE_STYLE } from "./style.ts";
import type { FailureTotals } from "./totals.ts";
import { linesOf, widthOf } from "./text-width.ts";

const WIDTH = 1_240;
const EDGE = 24;
const INNER = WIDTH - 2 * EDGE;

/** Single tasks in the timeline: more than a picture has points for. */
const MOST_SLICES = 4_000;

/** What of a report is in its picture. */
export function pictureOf(report: Report): string {
  const sheet = new Sheet();
  sheet.heading(titleOf(report), 22);
  sheet.paragraph(aboutOf(report), "small");
  sheet.cards(numbersOf(report));
  sheet.heading("What kept the workers", 17);
  for (const verdict of report.verdicts) {
    sheet.verdict(lookOf(verdict), verdict.title, verdict.text);
  }
  const spent = spentOf(report);
  if (spent.length > 0) sheet.chart(spentBar(spent.map(({ kind, ms }) => [kind, ms] as const)));
  sheet.keys(spent);
  for (const { title, svg, keys, note } of chartsOf(report, MOST_SLICES)) {
    sheet.heading(title, 17);
    sheet.chart(svg);
    sheet.keys(keys);
    sheet.paragraph(note, "small");
  }
  sheet.failures([...report.totals.failures.values()]);
  return sheet.svg();
}

/** Messages that are shown, and letters of each. */
const MOST_FAILURES = 5;
const MOST_LETTERS = 300;

/** px of a line of each kind of text: its letters, and from line to line. */
const SIZES = { plain: [15, 22], small: [13, 19] } as const;

/** What is drawn, from the top to the bottom. */
class Sheet {
  #y = EDGE;
  #body = "";

  heading(text: string, size: number): void {
    this.#y += size === 22 ? size : size + 30;
    this.#text(EDGE, this.#y, text, "heading", size);
    this.#y += 10;
  }

  paragraph(text: string, kind: keyof typeof SIZES): void {
    if (text !== "") this.#lines(EDGE, INNER, text, kind);
  }

  cards(numbers: readonly (readonly [value: string, what: string])[]): void {
    const [gap, edge] = [8, 12];
    const wide = (INNER - gap * (numbers.length - 1)) / numbers.length;
    const texts = numbers.map(([, what]) => linesOf(what, wide - 2 * edge, SIZES.small[0]));
    const high = 42 + Math.max(...texts.map((lines) => lines.length)) * 18;
    const top = this.#y + 12;
    for (const [i, [value]] of numbers.entries()) {
      const x = EDGE + i * (wide + gap);
      const place = `x="${x}" y="${top}" width="${wide}" height="${high}"`;
      this.#body += `<rect class="card" ${place} rx="6"/>`;
      this.#text(x + edge, top + 28, value, "number");
      for (const [n, line] of texts[i]!.entries()) {
        this.#text(x + edge, top + 48 + n * 18, line, "small");
      }
    }
    this.#y = top + high;
  }

  verdict(look: string, title: string, text: string): void {
    const [left, top] = [EDGE + 18, this.#y + 6];
    const lines = linesOf(text, INNER - 32, SIZES.plain[0]);
    const high = 42 + lines.length * SIZES.plain[1];
    this.#body +=
      `<rect class="card" x="${EDGE}" y="${top}" width="${INNER}" height="${high}" rx="4"/>` +
      `<rect class="edge ${look}" x="${EDGE}" y="${top}" width="5" height="${high}"/>`;
    this.#text(left, top + 24, title, "heading", 15);
    for (const [n, line] of lines.entries()) {
      this.#text(left, top + 48 + n * SIZES.plain[1], line, "plain");
    }
    this.#y = top + high + 2;
  }

  chart(svg: string): void {
    this.#y += 8;
    this.#body += svg.replace("<svg ", `<svg x="${EDGE}" y="${this.#y}" `);
    this.#y += Number(/ height="(\d+)"/.exec(svg)![1]);
  }

  keys(keys: readonly Key[]): void {
    if (keys.length === 0) return;
    let [x, y] = [EDGE, this.#y + 22];
    for (const { kind, text } of keys) {
      const wide = 16 + widthOf(text, SIZES.small[0]);
      if (x + wide > WIDTH - EDGE) [x, y] = [EDGE, y + SIZES.small[1]];
      this.#body += `<rect class="${kind}" x="${x}" y="${y - 10}" width="11" height="11" rx="2"/>`;
      this.#text(x + 16, y, text, "small");
      x += wide + 16;
    }
    this.#y = y + 4;
  }

  failures(all: readonly FailureTotals[]): void {
    if (all.length === 0) return;
    this.heading("Failures", 17);
    const most = all.toSorted((a, b) => b.count - a.count).slice(0, MOST_FAILURES);
    for (const { count, message } of most) {
      this.paragraph(`${countOf(count)} × ${message.slice(0, MOST_LETTERS)}`, "plain");
    }
    const left = all.length - most.length;
    if (left > 0) this.paragraph(`and ${countOf(left)} other messages`, "small");
  }

  svg(): string {
    const high = Math.ceil(this.#y + EDGE);
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${high}">` +
      `<style>${PICTURE_STYLE}</style>` +
      `<rect class="ground" width="${WIDTH}" height="${high}"/>${this.#body}</svg>`
    );
  }

  #lines(x: number, wide: number, text: string, kind: keyof typeof SIZES): void {
    const [size, step] = SIZES[kind];
    for (const line of linesOf(text, wide, size)) {
      this.#y += step;
      this.#text(x, this.#y, line, kind);
    }
  }

  #text(x: number, y: number, text: string, look: string, size?: number): void {
    const sized = size === undefined ? "" : ` style="font-size: ${size}px"`;
    this.#body += `<text class="${look}" x="${x}" y="${y}"${sized}>${escaped(text)}</text>`;
  }
}
