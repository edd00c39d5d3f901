/** The variables by which the runner tells test files, and these the programs that they start, what is played. */

/** The lane's name. */
export const LANE = "BSYNC_TEST_LANE";

/** The number by which the middle lane draws. */
export const SEED = "BSYNC_TEST_SEED";

/** The factor of all waits of bsync's own (`src/os/waits.ts`). */
export const CLOCK = "BSYNC_TEST_CLOCK";
