/*
 * bsync_watchdog: watches over MPI_Init, which waits for all ranks. Launchers
 * do not see that some never come: MPICH's waits for ever, and Open MPI's while
 * the others live.
 *
 * It is a thread, which looks now and then whether ranks of this machine are
 * over already (Linux: by their parent's children), and ends this process when
 * three looks in a row agree, or when its time is up, with a line on standard
 * error and exit code 1. If it sees that all ranks have come it leaves MPI_Init
 * more time. A rank that has waited for long says so, and for whom,
 * as far as that can be seen; of the ranks of a machine the lowest that waits.
 */
#ifndef BSYNC_WATCHDOG_H
#define BSYNC_WATCHDOG_H

/*
 * Right before MPI_Init. With a [timeout_ms] of 0 or less it may take for ever.
 * After [tell_ms] it is told for whom this rank waits; of 0 or less never.
 */
void bsync_watchdog_start(int timeout_ms, int tell_ms);

/* Right after it, and from the same thread. */
void bsync_watchdog_stop(void);

#endif
