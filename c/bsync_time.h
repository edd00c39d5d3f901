/*
 * bsync_time: time that has passed, and naps. Inline, since [bsync_mpi_wait]
 * reads the clock between its looks for messages. A file that includes this
 * defines _GNU_SOURCE first: strict C11 has neither.
 */
#ifndef BSYNC_TIME_H
#define BSYNC_TIME_H

#include <errno.h>
#include <stdint.h>
#include <time.h>

/* Microseconds since some time in the past. */
static inline int64_t bsync_now_us(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/*
 * Returns 0, or -1 when a signal cut the nap short. Linux ends a nap up to
 * 50 us late, to join it with others (PR_SET_TIMERSLACK). That stays as it is:
 * the setting is of the whole thread, which is not bsync's, and a nap that is
 * shorter by as much wakes as early, at the same cost.
 */
static inline int bsync_nap(int64_t us)
{
  struct timespec length;
  length.tv_sec = (time_t)(us / 1000000);
  length.tv_nsec = (long)(us % 1000000) * 1000;
  return nanosleep(&length, NULL) == 0 || errno != EINTR ? 0 : -1;
}

#endif
