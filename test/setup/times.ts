/** How long each test file took, as `bun test --timings` keeps it. */
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Files that are told of as the longest. */
const LONGEST = 10;

/** A file has grown that takes so many times as long as it did, beyond what the machine's own speed makes. */
const GROWTH = 1.5;

/** ms below which a file's time is that of its process, and says nothing. */
const LEAST_MS = 2_000;

const ROOT = join(import.meta.dir, "../..");

export type Times = ReadonlyMap<string, number>;

/** Those of the files that are still there. */
export async function readTimes(path: string): Promise<Times> {
  const { files } = (await Bun.file(path).json()) as { files: Record<string, number> };
  return new Map(Object.entries(files).filter(([file]) => existsSync(join(ROOT, file))));
}

/** The files that took longest, the longest first. */
export function longest(times: Times): [file: string, ms: number][] {
  return [...times].sort(([, a], [, b]) => b - a).slice(0, LONGEST);
}

/** Files that have grown, in ms. Machines differ by a factor of two: the median of all files is taken to be that. */
export function grown(before: Times, now: Times): { file: string; from: number; to: number }[] {
  const both = [...now].flatMap(([file, to]) => {
    const from = before.get(file) ?? 0;
    return from >= LEAST_MS && to >= LEAST_MS ? [{ file, from, to, ratio: to / from }] : [];
  });
  const ratios = both.map(({ ratio }) => ratio).sort((a, b) => a - b);
  const speed = ratios[ratios.length >> 1] ?? 1;
  return both
    .filter(({ ratio }) => ratio > GROWTH * speed)
    .map(({ file, from, to }) => ({ file, from: from * speed, to }));
}
