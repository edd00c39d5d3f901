/*
 * bsync_proc: whether /proc may be believed. Its numbers mean other processes
 * where it is that of another pid namespace.
 */
#ifndef BSYNC_PROC_H
#define BSYNC_PROC_H

/* 1 if /proc names this process as it names itself. May be called any time. */
int bsync_proc_is_own(void);

#endif
