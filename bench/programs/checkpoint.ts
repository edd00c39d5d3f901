/**
 * What a checkpoint costs the controller: percent of a core at 10^4 results a second, of items known
 * by their place and by a key, from taking an item to the commit of its result. Results are
 * numbers; there is no pool around it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Checkpoint } from "../../src/checkpoint/checkpoint.ts";
import { checkCheckpoint } from "../../src/checkpoint/options.ts";
import { report } from "./report.ts";

const RESULTS = 200_000;
const PER_SECOND = 10_000;

const folder = mkdtempSync(join(tmpdir(), "bsync-bench-"));

function percent(key: ((item: number) => string) | undefined): number {
  const path = join(folder, key === undefined ? "place" : "key");
  const text = "(x) => x / 3";
  using checkpoint = Checkpoint.open(checkCheckpoint({ path, key }), {
    kind: "map",
    label: "third",
    text,
  });
  const before = process.cpuUsage();
  for (let item = 0; item < RESULTS; item++) {
    if (checkpoint.take(item, item) === null) checkpoint.add(item, item / 3);
  }
  checkpoint.flush();
  const { user, system } = process.cpuUsage(before);
  const us = (user + system) / RESULTS;
  return (us / 1e6) * PER_SECOND * 100;
}

try {
  report({ place: percent(undefined), key: percent((item) => `item ${item}`) });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
