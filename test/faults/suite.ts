/**
 * The table of faults, and the cases of the peers' lists, in each way to start a program: one job for each,
 * and each cell of it a test. See docs/reliability.md.
 */
import { join } from "node:path";
import type { Launch } from "../contract/job.ts";
import { describeJob } from "../contract/suite.ts";
import { cellsFor } from "./jobs.ts";

export function describeFaults(launch: Launch): void {
  const cells = cellsFor(launch);
  if (cells.length > 0) describeJob(launch, join(import.meta.dir, "run.ts"), cells);
}
