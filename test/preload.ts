/**
 * Runs before the first test file: both MPIs are there, or the run ends here; and the clock is the lane's.
 */
import { afterAll } from "bun:test";
import { setClock } from "./lane.ts";
import { ensureMpi, mpiFamilies } from "./setup/mpi.ts";

setClock();

try {
  await ensureMpi();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

if (mpiFamilies().length < 2) {
  const warn = (): void =>
    console.error(
      `\n*** BSYNC_TEST_MPI=${process.env.BSYNC_TEST_MPI}: ` +
        `the tests run under ${mpiFamilies().join(", ") || "NO MPI AT ALL"} ***\n`,
    );
  warn();
  afterAll(warn);
}
