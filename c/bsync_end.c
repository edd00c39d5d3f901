/*
 * The end: [bsync_mpi_leave], [bsync_mpi_finalize] and [bsync_mpi_abort]. See
 * bsync_mpi.h, which is the manual.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_DEFAULT, nanosleep */
#endif
#include "bsync_mpi.h"

#include "bsync_comm.h"
#include "bsync_state.h"
#include "bsync_time.h"

#include <dlfcn.h>
#include <mpi.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ms in which a launcher has to answer a farewell. */
#define FAREWELL_MS 1000

static MPI_Request parting;
static int parts;  /* [parting] was started */
static int parted; /* and is done */

int bsync_mpi_leave(void)
{
  int all = 0, code;
  if (!bsync_is_open()) return bsync_not_open();
  if (!parts) {
    code = MPI_Ibarrier(bsync_state.programs, &parting);
    if (code != MPI_SUCCESS) return bsync_refused(code);
    parts = 1;
  }
  /* A request that is done is null, and done whenever it is asked. */
  code = MPI_Test(&parting, &all, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS) return bsync_refused(code);
  if (all) parted = 1;
  return all;
}

/* MPICH over UCX, before 4.2, on several hosts, where all are at their ends. */
static int is_endless(void)
{
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0, major = 9, minor = 0, count;
  if (!parted || bsync_state.size_on_host == bsync_state.size) return 0;
  MPI_Comm_size(bsync_state.programs, &count);
  MPI_Get_library_version(text, &length);
  if (count < bsync_state.size || strstr(text, "ch4:ucx") == NULL) return 0;
  sscanf(text, "MPICH Version: %d.%d", &major, &minor);
  return major < 4 || (major == 4 && minor < 2);
}

static void linger(int ms)
{
  int found;
  for (; ms > 0; ms--) {
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, bsync_state.comm, &found,
      MPI_STATUS_IGNORE);
    bsync_nap(1000);
  }
}

/*
 * Sends the farewell of MPI_Finalize to the launcher: Hydra takes a rank that
 * ends without a farewell for dead, and kills the other ranks of its host.
 * The farewell is of PMI-1, which this MPICH has inside unless it was built for
 * a library of PMI. Hydra answers; the answer is of no interest.
 */
static void take_leave(void)
{
  static const char farewell[] = "cmd=finalize\n";
  const char *fd = getenv("PMI_FD");
  struct pollfd answer = {.events = POLLIN};
  if (fd == NULL || dlsym(RTLD_DEFAULT, "PMI2_Finalize") != NULL) return;
  answer.fd = atoi(fd);
  if (send(answer.fd, farewell, sizeof farewell - 1, MSG_NOSIGNAL) < 0) return;
  poll(&answer, 1, FAREWELL_MS);
}

int bsync_mpi_finalize(int linger_ms)
{
  int endless, code;
  if (!bsync_is_open()) return 0;
  endless = is_endless();
  bsync_comm_stop();
  bsync_state.phase = BSYNC_CLOSED;
  if (endless) {
    linger(linger_ms);
    take_leave();
    return 0;
  }
  code = bsync_state.is_ours ? MPI_Finalize()
                             : MPI_Comm_free(&bsync_state.comm);
  return code == MPI_SUCCESS ? 0 : bsync_refused(code);
}

static void end_well(int number)
{
  (void)number;
  _exit(0);
}

int bsync_mpi_end_within(int seconds)
{
  struct sigaction action;
  sigset_t alarms;
  memset(&action, 0, sizeof action);
  action.sa_handler = end_well;
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, NULL);
  sigemptyset(&alarms);
  sigaddset(&alarms, SIGALRM);
  pthread_sigmask(SIG_UNBLOCK, &alarms, NULL);
  alarm((unsigned)seconds);
  return 0;
}

int bsync_mpi_abort(int code)
{
  if (bsync_is_open()) MPI_Abort(MPI_COMM_WORLD, code);
  _exit(code);
  return 0; /* never; TinyCC does not know */
}
