/*
 * bsync_proc: what Linux tells of other processes in /proc, for those parts
 * that run in threads of their own. It is believed only where /proc is this
 * process's own: of another pid namespace's the numbers mean others.
 */
#ifndef BSYNC_PROC_H
#define BSYNC_PROC_H

/* 1 if /proc names this process as it names itself. May be called any time. */
int bsync_proc_is_own(void);

#endif
