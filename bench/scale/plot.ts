import type { Point, Way } from "./model.ts";
import { SERVED, WAY_NAMES } from "./table.ts";
import type { Network } from "./workers.ts";

/** One network's points: every length with every number of workers. */
export interface Result {
  readonly network: Network;
  readonly points: readonly Point[];
}

const PANEL = { width: 400, height: 220 };
const LEFT = 78;
const TOP = 108;
const GAP = { x: 64, y: 56 };
const WIDTH = LEFT + 2 * PANEL.width + GAP.x + 30;
/** From above. */
const ROWS: readonly { readonly way: Way; readonly of: "efficiency" | "load" }[] = [
  { way: "calls", of: "efficiency" },
  { way: "map", of: "efficiency" },
  { way: "calls", of: "load" },
  { way: "map", of: "load" },
];
const HEIGHT = TOP + ROWS.length * (PANEL.height + GAP.y) + 6;

/** In the order of the rainbow, as the calls get longer. */
const COLOURS = ["#6a3d9a", "#2166ac", "#1b9e9e", "#33a02c", "#b8a100", "#e66101", "#b2182b"];
const GREY = "#666";

/** Two columns, one for each network; the efficiency above, the controller's load below; of each way to call. */
export function plot(results: readonly Result[], names: readonly string[]): string {
  const sizes = [...new Set(results.flatMap(({ points }) => points.map((p) => p.workers)))];
  sizes.sort((a, b) => a - b);
  const parts = results.flatMap(({ network, points }, column) =>
    ROWS.map(({ way, of }, row) => {
      const title = `${row === 0 ? `${network.name}. ` : ""}${titleOf(way)}`;
      const own = points.filter((point) => point.way === way);
      return panel(column, row, title, own, sizes, of);
    }),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="13">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${LEFT}" y="28" font-size="18" font-weight="bold">How many workers one controller serves</text>
<text x="${LEFT + 430}" y="28" fill="${GREY}">efficiency: work done / (workers × time)</text>
${legend(names)}
${parts.join("\n")}
${ROWS.map(({ of }, row) => axisTitle(of === "load" ? "load of the controller" : "efficiency", row)).join("\n")}
</svg>
`;
}

function legend(names: readonly string[]): string {
  const items = names.map((name, i) => {
    const x = LEFT + 112 + i * 92;
    return `<line x1="${x}" x2="${x + 22}" y1="52" y2="52" stroke="${COLOURS[i]}" stroke-width="3"/>
<text x="${x + 28}" y="56.5">${name}</text>`;
  });
  return `<text x="${LEFT}" y="56.5">length of a call:</text>\n${items.join("\n")}`;
}

function panel(
  column: number,
  row: number,
  title: string,
  points: readonly Point[],
  sizes: readonly number[],
  of: "efficiency" | "load",
): string {
  const left = LEFT + column * (PANEL.width + GAP.x);
  const top = TOP + row * (PANEL.height + GAP.y);
  const lengths = [...new Set(points.map(({ lengthUs }) => lengthUs))];
  const low = Math.log(sizes[0]!);
  const high = Math.log(sizes.at(-1)!);
  const x = (workers: number) =>
    round(left + ((Math.log(workers) - low) / (high - low)) * PANEL.width);
  const y = (share: number) => round(top + (1 - share) * PANEL.height);
  const bottom = top + PANEL.height;

  const parts = [
    `<text x="${left}" y="${top - 10}" font-size="14" font-weight="bold">${title}</text>`,
  ];
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(
      `<line x1="${left}" x2="${left + PANEL.width}" y1="${y(share)}" y2="${y(share)}" stroke="#ddd"/>`,
    );
    if (column > 0) continue;
    parts.push(
      `<text x="${left - 8}" y="${y(share) + 4.5}" text-anchor="end" fill="${GREY}">${100 * share} %</text>`,
    );
  }
  for (const workers of [16, 100, 1_000, 10_000, 100_000]) {
    if (workers > sizes.at(-1)!) continue;
    parts.push(`<line x1="${x(workers)}" x2="${x(workers)}" y1="${top}" y2="${bottom}" stroke="#ddd"/>
<text x="${x(workers)}" y="${bottom + 18}" text-anchor="middle" fill="${GREY}">${workers.toLocaleString("en")}</text>`);
  }
  if (of === "efficiency") {
    const at = y(SERVED);
    parts.push(
      `<line x1="${left}" x2="${left + PANEL.width}" y1="${at}" y2="${at}" stroke="${GREY}" stroke-dasharray="3 3"/>`,
    );
    if (column === 0) {
      parts.push(
        `<text x="${left - 8}" y="${at + 4.5}" text-anchor="end" fill="${GREY}">${100 * SERVED} %</text>`,
      );
    }
  }
  parts.push(
    `<text x="${left + PANEL.width / 2}" y="${bottom + 32}" text-anchor="middle" fill="${GREY}">workers</text>`,
  );
  lengths.forEach((length, i) => {
    const line = points.filter(({ lengthUs }) => lengthUs === length);
    const corners = line.map((point) => `${x(point.workers)},${y(Math.min(1, point[of]))}`);
    const dots = corners.map((corner) => {
      const [cx, cy] = corner.split(",");
      return `<circle cx="${cx}" cy="${cy}" r="2.6"/>`;
    });
    parts.push(
      `<g fill="${COLOURS[i]}"><polyline points="${corners.join(" ")}" fill="none" stroke="${COLOURS[i]}" stroke-width="2.2" stroke-linejoin="round"/>${dots.join("")}</g>`,
    );
  });
  return parts.join("\n");
}

function titleOf(way: Way): string {
  const name = WAY_NAMES[way];
  return name[0]!.toUpperCase() + name.slice(1);
}

function axisTitle(text: string, row: number): string {
  const middle = TOP + row * (PANEL.height + GAP.y) + PANEL.height / 2;
  return `<text transform="translate(22 ${middle}) rotate(-90)" text-anchor="middle">${text}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
