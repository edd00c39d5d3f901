import type { Network, Point } from "./model.ts";

/** From this efficiency on a pool is taken to be served. */
export const SERVED = 0.9;

/** A length of µs for a person: `10 µs`, `100 ms`. */
export function lengthName(us: number): string {
  if (us < 1e3) return `${us} µs`;
  return us < 1e6 ? `${us / 1e3} ms` : `${us / 1e6} s`;
}

/** One line for each length of a call, one column for each number of workers: efficiency and load, in %. */
export function table(network: Network, points: readonly Point[]): string {
  const sizes = [...new Set(points.map(({ workers }) => workers))];
  const lengths = [...new Set(points.map(({ lengthUs }) => lengthUs))];
  const head = ["call", ...sizes.map(String), "served at 90 %", "calls/s at most"];
  const rows = lengths.map((length) => {
    const line = points.filter(({ lengthUs }) => lengthUs === length);
    const cells = sizes.map((size) => {
      const point = line.find(({ workers }) => workers === size);
      return point ? `${percent(point.efficiency)} (${percent(point.load)})` : "";
    });
    const most = Math.max(...line.map(({ callsPerSecond }) => callsPerSecond));
    return [lengthName(length), ...cells, served(line), `${Math.round(most / 1e3)} k`];
  });
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]!.length)));
  const lines = [head, ...rows].map((row) =>
    row.map((cell, i) => cell.padStart(widths[i]!)).join("  "),
  );
  return [`${network.name}: efficiency (controller's load), %, by workers`, ...lines].join("\n");
}

/**
 * With how many workers the efficiency falls below what counts as served: a controller that has no time
 * left does as many calls a second for these as it does for the next number that was tried.
 */
function served(line: readonly Point[]): string {
  const next = line.findIndex(({ efficiency }) => efficiency < SERVED);
  if (next < 0) return `> ${line.at(-1)!.workers}`;
  if (next === 0) return `< ${line[0]!.workers}`;
  const { efficiency, workers } = line[next]!;
  const most = Math.max(line[next - 1]!.workers, (efficiency * workers) / SERVED);
  return `~ ${Number(most.toPrecision(1))}`;
}

function percent(share: number): string {
  const value = 100 * share;
  return value >= 9.95 ? value.toFixed(0) : value >= 0.095 ? value.toFixed(1) : "0";
}
