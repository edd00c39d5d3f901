/**
 * The seed of a run that is given none: one more than that of the run before, on this machine, so that what the
 * middle lane draws goes round.
 */
import { homedir } from "node:os";
import { join } from "node:path";

const FILE = join(homedir(), ".cache", "bsync-test-seed");

export async function nextSeed(): Promise<number> {
  const before = Number(
    await Bun.file(FILE)
      .text()
      .catch(() => NaN),
  );
  const seed = Number.isSafeInteger(before) ? before + 1 : firstSeed();
  // Without a place for it the next run draws anew.
  await Bun.write(FILE, `${seed}`).catch(() => {});
  return seed;
}

/** Nothing is known of this machine: any will do. */
function firstSeed(): number {
  return Math.floor(Math.random() * 1_000_000);
}
