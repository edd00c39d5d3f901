import type { Point, Way } from "./model.ts";
import type { Network } from "./workers.ts";

/** From this efficiency on a pool is taken to be served. */
export const SERVED = 0.9;

export const WAY_NAMES: Readonly<Record<Way, string>> = {
  calls: "calls one by one",
  map: "items of a map",
};

/** A length of µs for a person: `10 µs`, `100 ms`. */
export function lengthName(us: number): string {
  if (us < 1e3) return `${us} µs`;
  return us < 1e6 ? `${us / 1e3} ms` : `${us / 1e6} s`;
}

/** One line for each length of a call, one column for each number of workers: efficiency and load, in %. */
export function table(network: Network, way: Way, all: readonly Point[]): string {
  const points = all.filter((point) => point.way === way);
  const sizes = [...new Set(points.map(({ workers }) => workers))];
  const lengths = [...new Set(points.map(({ lengthUs }) => lengthUs))];
  const one = way === "map" ? "item" : "call";
  const head = [one, ...sizes.map(String), "served at 90 %", `${one}s/s`, `${one}s/message`];
  const rows = lengths.map((length) => {
    const line = points.filter(({ lengthUs }) => lengthUs === length);
    const cells = sizes.map((size) => {
      const point = line.find(({ workers }) => workers === size);
      return point ? `${percent(point.efficiency)} (${percent(point.load)})` : "";
    });
    const most = Math.max(...line.map(({ callsPerSecond }) => callsPerSecond));
    const together = Math.max(...line.map(({ callsPerMessage }) => callsPerMessage));
    const rates = [`${Math.round(most / 1e3)} k`, together.toFixed(1)];
    return [lengthName(length), ...cells, served(line), ...rates];
  });
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]!.length)));
  const lines = [head, ...rows].map((row) =>
    row.map((cell, i) => cell.padStart(widths[i]!)).join("  "),
  );
  const title = `${network.name}, ${WAY_NAMES[way]}: efficiency (controller's load), %, by workers`;
  return [title, ...lines].join("\n");
}

/**
 * With how many workers the efficiency falls below what counts as served: a controller that has no time
 * left does as many calls a second for these as it does for the next number that was tried.
 */
function served(line: readonly Point[]): string {
  const last = line.findLastIndex(({ efficiency }) => efficiency >= SERVED);
  if (last < 0) return `< ${line[0]!.workers}`;
  if (last === line.length - 1) return `> ${line[last]!.workers}`;
  const { efficiency, workers } = line[last + 1]!;
  const most = Math.max(line[last]!.workers, (efficiency * workers) / SERVED);
  return `~ ${Number(most.toPrecision(1))}`;
}

function percent(share: number): string {
  const value = 100 * share;
  return value >= 9.95 ? value.toFixed(0) : value >= 0.095 ? value.toFixed(1) : "0";
}
