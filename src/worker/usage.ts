import { cpuUsage, rss } from "../os/natives.ts";
import { Kind } from "../wire/frames.ts";
import type { MessageWriter } from "../wire/writer.ts";

/** ms between two reports of what a worker uses, at least. */
export const USAGE_MS = 1_000;

/** Adds to a message what this process uses: bytes resident, and ms of processor time so far. */
export function writeUsage(writer: MessageWriter): void {
  const bytes = residentBytes();
  if (bytes === null || !writer.fits()) return;
  const { user, system } = cpuUsage();
  // As in all numbers of frames there are 32 bits: they last for 49 days of one core.
  writer.write(Kind.Usage, Math.round((user + system) / 1000) >>> 0, bytes);
}

/** Null if that cannot be read in /proc: a task may have left no descriptor for it. */
export function residentBytes(): number | null {
  try {
    return rss();
  } catch {
    return null;
  }
}
