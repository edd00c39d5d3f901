/*
 * bsync_watchdog: ends a process whose MPI_Init does not return, as it waits
 * for ranks that do not come. Launchers do not see that: MPICH's waits for
 * ever, and Open MPI's while the others live.
 *
 * It is a thread, which looks every 250 ms whether ranks of this machine are
 * over already (Linux: by their parent's children), and ends this one when
 * three looks in a row agree, or when its time is up, with a line on standard
 * error and exit code 1.
 */
#ifndef BSYNC_WATCHDOG_H
#define BSYNC_WATCHDOG_H

/* Right before MPI_Init. Of a [timeout_ms] of 0 or less nobody watches. */
void bsync_watchdog_start(int timeout_ms);

/* Right after it, and from the same thread. */
void bsync_watchdog_stop(void);

#endif
