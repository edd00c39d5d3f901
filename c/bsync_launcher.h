/*
 * bsync_launcher: an end for Open MPI's mpirun after the end of a job whose
 * other host is silent.
 *
 * mpirun waits for its daemon on the silent host until it sees for itself that
 * the host is gone, after 8 minutes. Hence the rank that ends a job leaves a
 * process behind, which gives mpirun 5 s to end, then sends SIGTERM, and after
 * 5 s more SIGKILL. It does so only where mpirun has started that rank on its
 * own host: where the first of the rank's ancestors that is not of the job is
 * mpirun, and no daemon of it.
 */
#ifndef BSYNC_LAUNCHER_H
#define BSYNC_LAUNCHER_H

/* Right before the end of the job, from any thread. Never blocks. */
void bsync_see_launcher_off(void);

#endif
