/** What `pace.ts` shows: a table, and a plot with both axes logarithmic. */
import { quantile } from "../programs/report.ts";

/** One program: times in µs, by the silence in ms. */
export interface Line {
  readonly who: string;
  readonly times: Readonly<Record<string, readonly number[]>>;
}

const PANEL = { left: 64, top: 56, width: 560, height: 400 };
const LEGEND = { left: 648, width: 232 };
const HEIGHT = PANEL.top + PANEL.height + 56;
const WIDTH = LEGEND.left + LEGEND.width;
/** No silence has no place on a logarithmic axis: it stands left of all others. */
const NONE_MS = 0.02;
const GRID_US = [1, 10, 100, 1_000, 10_000];

/** bsync's lines are solid, in blue to green; the others' are dashed. */
const COLOURS = ["#08519c", "#4292c6", "#006d2c", "#41ab5d", "#54278f", "#9e9ac8"];
const OTHER_COLOURS = ["#a63603", "#e6550d", "#666666", "#999999", "#bbbbbb"];

const silencesOf = (lines: readonly Line[]): string[] =>
  [...new Set(lines.flatMap(({ times }) => Object.keys(times)))].sort(
    (a, b) => Number(a) - Number(b),
  );

const inUs = (us: number): string => (us < 100 ? us.toFixed(1) : us.toFixed(0));

/** The median and the 99th percentile of each. */
export function table(lines: readonly Line[]): string {
  const silences = silencesOf(lines);
  const rows = lines.map(({ who, times }) => [
    who,
    ...silences.map((ms) => {
      const own = times[ms] ?? [];
      return `${inUs(quantile(own, 0.5))} / ${inUs(quantile(own, 0.99))}`;
    }),
  ]);
  const head = ["µs, median / 99 %", ...silences.map((ms) => `${ms} ms`)];
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  const text = (row: readonly string[]) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ");
  return all.map(text).join("\n");
}

export function plot(lines: readonly Line[]): string {
  const silences = silencesOf(lines);
  const at = (ms: string): number => Math.log10(Math.max(Number(ms), NONE_MS));
  const low = at("0");
  const high = at(silences.at(-1)!);
  const x = (ms: string) => round(PANEL.left + ((at(ms) - low) / (high - low)) * PANEL.width);
  const [least, most] = [Math.log10(GRID_US[0]!), Math.log10(GRID_US.at(-1)!)];
  const y = (us: number) => {
    const share = (Math.log10(Math.max(us, GRID_US[0]!)) - least) / (most - least);
    return round(PANEL.top + (1 - Math.min(share, 1)) * PANEL.height);
  };
  const bottom = PANEL.top + PANEL.height;
  const grid = [
    ...GRID_US.map(
      (us) =>
        `<line x1="${PANEL.left}" x2="${PANEL.left + PANEL.width}" y1="${y(us)}" y2="${y(us)}" ` +
        `stroke="#ddd"/><text x="${PANEL.left - 8}" y="${y(us) + 4}" text-anchor="end">${us}</text>`,
    ),
    ...silences.map(
      (ms) =>
        `<line x1="${x(ms)}" x2="${x(ms)}" y1="${PANEL.top}" y2="${bottom}" stroke="#eee"/>` +
        `<text x="${x(ms)}" y="${bottom + 18}" text-anchor="middle">${ms}</text>`,
    ),
  ];
  let [own, other] = [0, 0];
  const drawn = lines.map(({ who, times }, i) => {
    const isOwn = who.startsWith("bsync");
    const colour = isOwn ? COLOURS[own++ % COLOURS.length] : OTHER_COLOURS[other++ % 5];
    const style = `stroke="${colour}" stroke-width="2"${isOwn ? "" : ' stroke-dasharray="6 4"'}`;
    const points = silences
      .filter((ms) => times[ms] !== undefined)
      .map((ms) => `${x(ms)},${y(quantile(times[ms]!, 0.5))}`);
    const label = PANEL.top + 12 + i * 22;
    return (
      `<polyline points="${points.join(" ")}" fill="none" ${style}/>` +
      `<line x1="${LEGEND.left}" x2="${LEGEND.left + 26}" y1="${label}" y2="${label}" ${style}/>` +
      `<text x="${LEGEND.left + 34}" y="${label + 4}">${who}</text>`
    );
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${PANEL.left}" y="28" font-size="17" font-weight="bold">A call after a silence</text>
<text x="${PANEL.left}" y="46" fill="#666">µs from the call to its result, median</text>
${grid.join("\n")}
${drawn.join("\n")}
<text x="${PANEL.left + PANEL.width / 2}" y="${HEIGHT - 14}" text-anchor="middle" fill="#666">silence before the call, ms</text>
</svg>
`;
}

function round(n: number): number {
  return Math.round(10 * n) / 10;
}
