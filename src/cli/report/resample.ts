import type { Columns } from "./columns.ts";

/** The mean level in each of `count` equal parts of the time from 0 to `end`. */
export function resampled(columns: Columns, end: number, count: number): number[] {
  columns.reach(end);
  const values = columns.values();
  const { width } = columns;
  const sums = Array<number>(count).fill(0);
  const each = end / count;
  if (!(each > 0)) return sums;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const from = i * width;
    const to = Math.min(from + width, end);
    if (value === 0 || to <= from) continue;
    const level = value / (to - from);
    const last = Math.min(count - 1, Math.floor(to / each));
    for (let x = Math.floor(from / each); x <= last; x++) {
      const covered = Math.min(to, (x + 1) * each) - Math.max(from, x * each);
      if (covered > 0) sums[x]! += (level * covered) / each;
    }
  }
  return sums;
}
