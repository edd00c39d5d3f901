/* See bsync_watch.h, which is the manual. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include "bsync_watch.h"

#include "bsync_launcher.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* ms in which an address of the leader has to answer. */
#define CONNECT_MS 5000

/* s in which the end of this process has to come. */
#define END_S 2

/* The kernel refuses longer times between two of its questions. */
#define KEEPALIVE_MOST_S 32767

struct hello {
  uint64_t key;
  int64_t rank;
};

static struct {
  struct bsync_watch_job job;
  struct bsync_watch_place place;
  /* Of the leader. In [polled] the connections of the other ranks follow the
   * listener. [ranks] has the rank of each, -1 until the rank has said it. */
  struct pollfd *polled;
  int *ranks;
} watch;

static const char *host_of(int rank)
{
  return watch.job.hosts + (size_t)rank * (size_t)watch.job.name_bytes;
}

static int at_most(int value, int most)
{
  return value < most ? value : most;
}

/* From now on the kernel sees whether the host at the other end answers. */
static void keep_alive(int fd)
{
  const int silent_s = watch.place.silent_s, on = 1, probes = 5;
  const int ms = at_most(silent_s, INT_MAX / 1000) * 1000;
  const int idle = at_most((silent_s + 1) / 2, KEEPALIVE_MOST_S);
  int interval = at_most((silent_s - idle) / probes, KEEPALIVE_MOST_S);
  if (interval < 1) interval = 1;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  /* When the kernel gives up, however many questions it has asked by then.
   * Bytes that were sent and not received count as a question. */
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}

/*
 * Whether the kernel has given up an open connection as its host is silent. The
 * error is ETIMEDOUT, or, where bytes of ours were on their way, the answer of
 * a router or a firewall in the place of the host (icmp(7)). The end of a
 * process is no such error: its host tells of it, by ECONNRESET at the most.
 */
static int is_silence(int error)
{
  switch (error) {
  case ETIMEDOUT:
  case ENETUNREACH:
  case EHOSTUNREACH:
  case EHOSTDOWN:
  case ENONET:
  case ENOPROTOOPT:
  case ECONNREFUSED: return 1; /* ECONNREFUSED: by a firewall that rejects */
  default: return 0;
  }
}

/* MPI_Abort may hang without that host. This ends the process all the same,
 * whatever the program does with the signal. */
static void end_by_alarm(void)
{
  sigset_t alarms;
  signal(SIGALRM, SIG_DFL);
  sigemptyset(&alarms);
  sigaddset(&alarms, SIGALRM);
  pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
  alarm(END_S);
}

static void end_job(int silent_rank)
{
  char line[512];
  int length = snprintf(line, sizeof line,
    "bsync: rank %d (pid %d, host %s): host %s, of rank %d, has not answered "
    "for some %d s, it is cut off or has crashed; the job ends "
    "(BSYNC_HOST_TIMEOUT says how many ms a host may be silent, 0: for ever)\n",
    watch.job.rank, (int)getpid(), host_of(watch.job.rank),
    host_of(silent_rank), silent_rank, watch.place.silent_s);
  if (write(2, line, (size_t)length) < 0) {
    /* Nowhere to say it: the exit code has to do. */
  }
  end_by_alarm();
  /* The launcher reads the line before it hears of the end. */
  poll(NULL, 0, 100);
  bsync_see_launcher_off();
  watch.job.end();
}

/* 0 when the connection is of no use any more. Nobody sends anything on it. */
static int is_open(int fd, int rank)
{
  char byte;
  const ssize_t found = recv(fd, &byte, 1, MSG_DONTWAIT);
  if (found > 0) return 1;
  if (found < 0 && (errno == EAGAIN || errno == EINTR)) return 1;
  if (found < 0 && is_silence(errno)) end_job(rank);
  return 0;
}

/* Returns 1, or 0 where there can be no thread. */
static int start_thread(void *(*run)(void *))
{
  pthread_t thread;
  sigset_t all, before;
  int started;
  /* The signals of the process are for the threads of its own program. */
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  started = pthread_create(&thread, NULL, run, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (started) pthread_detach(thread);
  return started;
}

/* ---- The leader --------------------------------------------------------- */

/* The rank that has connected; -1 if it has not said its rank. */
static int read_hello(int fd)
{
  struct hello hello;
  const ssize_t found = recv(fd, &hello, sizeof hello, MSG_DONTWAIT);
  if (found != sizeof hello || hello.key != watch.place.key) return -1;
  return hello.rank >= 0 && hello.rank < watch.job.size ? (int)hello.rank : -1;
}

static void *lead(void *unused)
{
  struct pollfd *polled = watch.polled;
  int *ranks = watch.ranks, count = 1, i, fd;
  (void)unused;
  for (;;) {
    polled[0].events = count > watch.job.size ? 0 : POLLIN;
    if (poll(polled, (nfds_t)count, -1) < 0) continue;
    for (i = count - 1; i > 0; i--) {
      if (polled[i].revents == 0) continue;
      if (ranks[i] < 0) {
        ranks[i] = read_hello(polled[i].fd);
        if (ranks[i] >= 0) continue;
      } else if (is_open(polled[i].fd, ranks[i])) {
        continue;
      }
      close(polled[i].fd);
      polled[i] = polled[--count];
      ranks[i] = ranks[count];
    }
    if (polled[0].revents == 0 || count > watch.job.size) continue;
    fd = accept4(polled[0].fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
      /* Too many descriptors, say: not at once again. */
      if (errno != EAGAIN && errno != ECONNABORTED) poll(NULL, 0, 1000);
      continue;
    }
    keep_alive(fd);
    polled[count].fd = fd;
    polled[count].events = POLLIN;
    polled[count].revents = 0;
    ranks[count++] = -1;
  }
  return NULL; /* never */
}

/* The listener, or -1. */
static int listen_anywhere(struct bsync_watch_place *place)
{
  struct sockaddr_in any;
  socklen_t length = sizeof any;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  memset(&any, 0, sizeof any);
  any.sin_family = AF_INET;
  if (bind(fd, (struct sockaddr *)&any, sizeof any) == 0 &&
      listen(fd, SOMAXCONN) == 0 &&
      getsockname(fd, (struct sockaddr *)&any, &length) == 0) {
    place->port = any.sin_port;
    return fd;
  }
  close(fd);
  return -1;
}

static void list_addresses(struct bsync_watch_place *place)
{
  struct ifaddrs *all, *one;
  if (getifaddrs(&all) != 0) return;
  for (one = all; one != NULL; one = one->ifa_next) {
    if (one->ifa_addr == NULL || one->ifa_addr->sa_family != AF_INET) continue;
    if (one->ifa_flags & IFF_LOOPBACK || !(one->ifa_flags & IFF_UP)) continue;
    if (place->count == BSYNC_WATCH_ADDRESSES) break;
    place->addresses[place->count++] =
      ((struct sockaddr_in *)(void *)one->ifa_addr)->sin_addr.s_addr;
  }
  freeifaddrs(all);
}

/* Returns 1, or 0 where the leader cannot lead; then nothing is left open. */
static int start_leading(const struct bsync_watch_job *job,
  struct bsync_watch_place *place)
{
  const int listener = listen_anywhere(place);
  if (listener < 0) return 0;
  watch.job = *job;
  watch.place = *place;
  watch.polled = calloc((size_t)job->size + 1, sizeof *watch.polled);
  watch.ranks = calloc((size_t)job->size + 1, sizeof *watch.ranks);
  if (watch.polled != NULL && watch.ranks != NULL) {
    watch.polled[0].fd = listener;
    if (start_thread(lead)) return 1;
  }
  free(watch.polled);
  free(watch.ranks);
  close(listener);
  return 0;
}

void bsync_watch_lead(const struct bsync_watch_job *job, int silent_s,
  struct bsync_watch_place *place)
{
  memset(place, 0, sizeof *place);
  place->rank = job->rank;
  place->silent_s = silent_s;
  if (getrandom(&place->key, sizeof place->key, GRND_NONBLOCK) !=
      sizeof place->key)
    return;
  list_addresses(place);
  if (place->count > 0 && !start_leading(job, place)) place->count = 0;
}

/* ---- The others --------------------------------------------------------- */

static int reach(uint32_t address)
{
  struct sockaddr_in to;
  struct pollfd polled;
  int error = 0;
  socklen_t length = sizeof error;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  memset(&to, 0, sizeof to);
  to.sin_family = AF_INET;
  to.sin_port = (in_port_t)watch.place.port;
  to.sin_addr.s_addr = address;
  if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0) return fd;
  polled.fd = fd;
  polled.events = POLLOUT;
  if (errno == EINPROGRESS && poll(&polled, 1, CONNECT_MS) == 1 &&
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0)
    return fd;
  close(fd);
  return -1;
}

static void *follow(void *unused)
{
  struct pollfd polled;
  struct hello hello;
  int i;
  (void)unused;
  polled.fd = -1;
  for (i = 0; i < watch.place.count && polled.fd < 0; i++)
    polled.fd = reach(watch.place.addresses[i]);
  if (polled.fd < 0) return NULL;
  keep_alive(polled.fd);
  hello.key = watch.place.key;
  hello.rank = watch.job.rank;
  if (send(polled.fd, &hello, sizeof hello, MSG_NOSIGNAL) == sizeof hello) {
    polled.events = POLLIN;
    do poll(&polled, 1, -1);
    while (is_open(polled.fd, watch.place.rank));
  }
  close(polled.fd);
  return NULL;
}

void bsync_watch_follow(const struct bsync_watch_job *job,
  const struct bsync_watch_place *place)
{
  watch.job = *job;
  watch.place = *place;
  start_thread(follow);
}
