/**
 * The table of faults, and the cases of the peers' lists, in each way to start a program: one job for each,
 * and each cell of it a test. See docs/reliability.md.
 */
import { join } from "node:path";
import { describeJob } from "./contract/suite.ts";
import { PEERS } from "./faults/peers.ts";
import { CELLS } from "./faults/table.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const RUN = join(import.meta.dir, "faults/run.ts");

const cases = [...CELLS, ...PEERS];

describeJob({ mode: "local", ranks: 1 }, RUN, cases);
for (const mode of mpiFamilies()) {
  describeJob({ mode, ranks: 3 }, RUN, cases);
  describeJob({ mode, ranks: 3, isolated: true }, RUN, cases);
  describeJob({ mode, ranks: 3, mixed: true }, RUN, CELLS);
}
