/*
 * bsync_watch: whether the hosts of a job still answer, where its launcher does
 * not see to that.
 *
 * One rank leads: the first program of bsync, which is rank 0 unless that is a
 * C program. Each rank on another host has one TCP connection to the leader,
 * and says its rank there. Nothing else is sent: the two kernels ask each other
 * now and then (SO_KEEPALIVE, tcp(7)), whatever the processes do. The end of a
 * process closes its connection, which means nothing here, since launchers see
 * it. A host that does not answer any more makes the process at the other end
 * say so on standard error, and end the job, and see its launcher off
 * (bsync_launcher.h). A thread does so; else it sleeps, and takes no signals.
 *
 * Where no connection comes about, as with a firewall, nobody is watched.
 */
#ifndef BSYNC_WATCH_H
#define BSYNC_WATCH_H

#include <stdint.h>

#define BSYNC_WATCH_ADDRESSES 16

/* Where the leader is reached: the leader sends it to the others, as bytes. */
struct bsync_watch_place {
  uint64_t key; /* by which the leader knows the others */
  int32_t rank; /* the rank of the leader */
  int32_t silent_s;
  int32_t port;
  int32_t count;
  uint32_t addresses[BSYNC_WATCH_ADDRESSES]; /* IPv4, as they are sent */
};

/* The job, as this rank knows it. [hosts] is kept, and not copied. */
struct bsync_watch_job {
  int rank;
  int size;
  int name_bytes;
  const char *hosts; /* the names of all ranks' hosts, [name_bytes] each */
  void (*end)(void); /* ends it, from a thread; does not return */
};

/*
 * On the leader: begins to listen, and fills [place]; its count is 0 where that
 * cannot be, and then nobody is watched. [silent_s] is how many seconds a host
 * may be silent, at least 2. Between two questions of the kernel lie nine hours
 * at the most (32,767 s), whatever it is.
 */
void bsync_watch_lead(const struct bsync_watch_job *job, int silent_s,
  struct bsync_watch_place *place);

/* On a rank of another host: is watched by the leader, and watches it. */
void bsync_watch_follow(const struct bsync_watch_job *job,
  const struct bsync_watch_place *place);

#endif
