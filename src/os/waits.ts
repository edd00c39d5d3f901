/**
 * How long bsync waits for others before it acts, in ms: every wait of about a second or more that
 * no option sets. They are in one place so that tests can shorten them together, and keep their
 * order.
 */

/** A factor for tests only, from above 0 to 1. */
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

/**
 * The longest delay of a timer, in ms: timers hold 31 bits, and a longer delay fires at once.
 * (MPI's `int` holds as much.)
 */
export const LONGEST_MS = 2 ** 31 - 1;

/** The delay of a timer for `ms`: as long as a timer can wait, and not below 0. */
export function timerDelay(ms: number): number {
  return Math.min(Math.max(0, ms), LONGEST_MS);
}

/** Practically for ever. */
export const FOREVER_MS = LONGEST_MS;

/**
 * Between two checks whether the workers progress, on the controller and on a rank with a child.
 */
export const LOOK_MS = scaled(1_000);

/** After which an idle worker has proved that it can live. */
export const SETTLED_MS = scaled(1_000);

/**
 * For a local worker that still runs a settled task, or stays after its `Close`, before it is
 * killed.
 */
export const STUCK_MS = scaled(1_000);

/** From the sending of a task to its start on the worker: its module may have to be loaded. */
export const START_MS = scaled(10_000);

/** For a worker to answer `Close` when its pool is closed. */
export const GOODBYE_MS = scaled(2_000);

/**
 * For a process to end by itself: a local worker after its `Close`, and a rank's child whose pool
 * is over.
 */
export const LINGER_MS = scaled(2_000);
export const CHILD_LINGER_MS = scaled(1_000);

/** For the ranks that serve a process to answer when it has reached its end. */
export const FAREWELL_MS = scaled(1_500);

/** For another rank, until a message tells which one is awaited; the wait goes on. */
export const AWAITED_MS = scaled(60_000);

/**
 * For a pool that closes, after a failure that somebody was told of, until stderr is told what it
 * still waits for.
 */
export const CLOSING_MS = scaled(1_000);

/**
 * After a drain signal until the same signal means that it is to be at once: a launcher and a batch
 * system may both send one, each to every process.
 */
export const AGAIN_MS = scaled(1_000);

/**
 * For all `exit` handlers of a dismissed rank together, once the job is over. Not to be shortened:
 * the alarm that ends it counts whole seconds, and a busy machine takes one to end a process.
 */
export const EXIT_MS = 2_000;

/**
 * For a program that has failed by an uncaught error to end by itself while others wait for it.
 * Longer than a pool takes to open on a busy machine, so as not to cut off a main module that goes
 * on.
 */
export const FAILED_MS = scaled(10_000);

/** In which a program is likely to react to the end of its main script's run on a worker. */
export const AFTER_STOP_MS = scaled(1_000);

/**
 * For a reader of standard output that takes in nothing, until the rest is given up: it may be a
 * person's pager.
 */
export const WRITING_MS = scaled(600_000);

/** For all output that a process has left at its end: some may never finish. */
export const WRITTEN_MS = scaled(3_600_000);

/**
 * For a process at its end that writes piece after piece, to a reader who takes in each at once:
 * code that a task left behind may print for ever.
 */
export const LAST_WRITES_MS = scaled(1_000);

/**
 * For a program that ends well, and has opened nothing, to meet the other ranks in `MPI_Init`.
 * Never shortened: MPI's start takes its time.
 */
export const LET_GO_MS = 2_000;

/**
 * For a file of another process to be let go: a job that was killed is there for a moment yet when
 * the next one begins.
 */
export const RELEASED_MS = scaled(3_000);

/** Between two signs of life of the holder of a file that other hosts may open. */
export const BEAT_MS = scaled(1_000);

/** A worker, or a rank's child, that does not begin its calls is ended after so many checks. */
export const LOOKS = 3;
