/**
 * How long bsync waits for others before it acts, in ms: every wait of about a second and more that
 * no option sets. They stand in one place so that tests can shorten them together, and keep their
 * order.
 */

import { LONGEST_MS } from "./timers.ts";

/** The factor of the tests' own, from above 0 to 1: none but they should set it. */
const VARIABLE = "BSYNC_TEST_CLOCK";

const factor = readFactor(process.env[VARIABLE]);

function readFactor(text: string | undefined): number {
  if (text === undefined || text === "") return 1;
  const number = Number(text);
  if (number > 0 && number <= 1) return number;
  throw new RangeError(
    `Cannot use ${VARIABLE}=${text}: it must be a number above 0, and 1 at most`,
  );
}

function scaled(ms: number): number {
  return ms * factor;
}

/** As good as for ever. */
export const FOREVER_MS = LONGEST_MS;

/**
 * Between two looks at whether the workers move, on the controller and on a rank that has a child.
 */
export const LOOK_MS = scaled(1_000);

/** After which a worker that has had nothing to do has proved that it can live. */
export const SETTLED_MS = scaled(1_000);

/**
 * For a local worker that goes on with a settled task, or stays when it is let go, before it is
 * killed.
 */
export const STUCK_MS = scaled(1_000);

/** From the sending of a task to its start on the worker: its module may have to be loaded. */
export const START_MS = scaled(10_000);

/** For a worker to say goodbye when its pool is closed. */
export const GOODBYE_MS = scaled(2_000);

/**
 * For a process to end by itself: a local worker that was let go, and a rank's child whose pool is
 * over.
 */
export const LINGER_MS = scaled(2_000);
export const CHILD_LINGER_MS = scaled(1_000);

/** For the ranks that serve a process to answer when that has come to its end. */
export const FAREWELL_MS = scaled(1_500);

/** For another rank, until who waits says for whom; it goes on waiting. */
export const AWAITED_MS = scaled(60_000);

/** For the handlers of `exit` of a rank that was let go, all together, once the job is over. */
export const EXIT_MS = scaled(2_000);

/**
 * For a program that has failed, by an error nobody caught, to end by itself while others wait for
 * it. Longer than a pool takes to open on a busy machine: a main module that goes on is not cut
 * off.
 */
export const FAILED_MS = scaled(10_000);

/** In which a program is likely to act on the end of its main script's run on a worker. */
export const AFTER_STOP_MS = scaled(1_000);

/**
 * For a reader of standard output who takes in nothing, until what is left is given up: it may be a
 * person's pager.
 */
export const WRITING_MS = scaled(600_000);

/**
 * For all that a process has left to write when it comes to its end: some of that may never end.
 */
export const WRITTEN_MS = scaled(3_600_000);

/**
 * For a process at its end that writes one thing after another, to a reader who takes in each at
 * once: what a task has left behind may print for ever.
 */
export const LAST_WRITES_MS = scaled(1_000);

/**
 * For a program that ends well, and has opened nothing, to meet the other ranks in `MPI_Init`.
 * Never shortened: the start of MPI takes what it takes.
 */
export const LET_GO_MS = 2_000;

/**
 * A worker, or a rank's child, that does not begin what it was sent is ended after so many looks.
 */
export const LOOKS = 3;
