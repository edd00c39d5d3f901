/*
 * The beginning: [bsync_mpi_init], and whether it was called. See bsync_mpi.h,
 * which is the manual.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* dladdr, RTLD_NOLOAD, gethostname */
#endif
#include "bsync_mpi.h"

#include "bsync_comm.h"
#include "bsync_state.h"
#include "bsync_watch.h"
#include "bsync_watchdog.h"

#include <dlfcn.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int32_t facts[8]; /* [info] of bsync_mpi_init */

int bsync_mpi_running(void)
{
  return bsync_is_open() ? 0 : bsync_not_open();
}

/*
 * The plugins of Open MPI before version 3 look for libmpi's symbols in the
 * global scope, but dlopen has loaded libmpi, with this file, into a local
 * scope. To open it once more with RTLD_GLOBAL moves it.
 */
static void make_library_global(void)
{
  int (*const function)(int *, char ***) = MPI_Init;
  void *address;
  Dl_info found;
  memcpy(&address, &function, sizeof address); /* ISO C has no cast for it */
  if (dladdr(address, &found) && found.dli_fname != NULL)
    dlopen(found.dli_fname, RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
}

static int start_mpi(int *level)
{
  int running = 0, over = 0, code;
  MPI_Finalized(&over);
  if (over) return BSYNC_E_CLOSED;
  MPI_Initialized(&running);
  if (running) return MPI_Query_thread(level);
  code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, level);
  if (code != MPI_SUCCESS) return code;
  bsync_state.is_ours = 1;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  return MPI_SUCCESS;
}

static int count_ranks_on_host(int *count)
{
  MPI_Comm host;
  int code = MPI_Comm_split_type(bsync_state.comm, MPI_COMM_TYPE_SHARED, 0,
    MPI_INFO_NULL, &host);
  if (code != MPI_SUCCESS) return code;
  MPI_Comm_size(host, count);
  return MPI_Comm_free(&host);
}

static int gather_hosts(int size)
{
  char name[BSYNC_HOST] = "";
  gethostname(name, sizeof name - 1);
  bsync_state.hosts = malloc((size_t)size * sizeof name);
  if (bsync_state.hosts == NULL) return BSYNC_E_MEMORY;
  return MPI_Allgather(name, sizeof name, MPI_CHAR, bsync_state.hosts,
    sizeof name, MPI_CHAR, bsync_state.comm);
}

/*
 * MPICH's launcher, without MPI_Abort, would go on to wait for the host that is
 * gone. A thread of bsync_watch.c calls this, though MPI is not told of other
 * threads: the process ends here, and its main thread may be stuck for ever.
 */
static void end_at_once(void)
{
  MPI_Abort(MPI_COMM_WORLD, 1);
  _exit(1);
}

/*
 * Watches the other hosts, see bsync_watch.h: the first of the programs leads,
 * and tells the others how long a host may be silent.
 */
static int watch_hosts(int silent_s)
{
  struct bsync_watch_job job;
  struct bsync_watch_place place;
  MPI_Comm host;
  int rank, first, code;
  if (bsync_state.size_on_host == bsync_state.size) return MPI_SUCCESS;
  job.rank = facts[0];
  job.size = bsync_state.size;
  job.hosts = bsync_state.hosts;
  job.name_bytes = BSYNC_HOST;
  job.end = end_at_once;
  memset(&place, 0, sizeof place);
  MPI_Comm_rank(bsync_state.programs, &rank);
  if (rank == 0 && silent_s > 0) bsync_watch_lead(&job, silent_s, &place);
  code = MPI_Bcast(&place, sizeof place, MPI_BYTE, 0, bsync_state.programs);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Comm_split_type(bsync_state.programs, MPI_COMM_TYPE_SHARED, 0,
    MPI_INFO_NULL, &host);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Allreduce(&rank, &first, 1, MPI_INT, MPI_MIN, host);
  MPI_Comm_free(&host);
  if (code == MPI_SUCCESS && first > 0 && place.count > 0)
    bsync_watch_follow(&job, &place);
  return code;
}

static int start(int silent_s)
{
  int level = 0, rank, size, count = 1, found = 0, major = 0, minor = 0, code;
  int *tag_limit = NULL;
  code = start_mpi(&level);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Comm_dup(MPI_COMM_WORLD, &bsync_state.comm);
  if (code != MPI_SUCCESS) return code;
  MPI_Comm_set_errhandler(bsync_state.comm, MPI_ERRORS_RETURN);
  MPI_Comm_rank(bsync_state.comm, &rank);
  MPI_Comm_size(bsync_state.comm, &size);
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &tag_limit, &found);
  MPI_Get_version(&major, &minor);
  code = count_ranks_on_host(&count);
  if (code != MPI_SUCCESS) return code;
  code = gather_hosts(size);
  if (code != MPI_SUCCESS) return code;
  code = bsync_comm_start();
  if (code != MPI_SUCCESS) return code;
  code = MPI_Comm_split(MPI_COMM_WORLD, 0, 0, &bsync_state.programs);
  if (code != MPI_SUCCESS) return code;
  MPI_Comm_set_errhandler(bsync_state.programs, MPI_ERRORS_RETURN);
  bsync_state.size = size;
  bsync_state.size_on_host = count;
  facts[0] = rank;
  facts[1] = size;
  facts[2] = found ? *tag_limit : 32767;
  facts[3] = count;
  facts[4] = level >= MPI_THREAD_FUNNELED;
  facts[5] = !bsync_state.is_ours;
  facts[6] = 100 * major + minor;
  facts[7] = BSYNC_SMALL;
  return watch_hosts(silent_s);
}

int bsync_mpi_init(int timeout_ms, int tell_ms, int silent_s, int32_t info[8])
{
  int code;
  if (bsync_state.phase == BSYNC_CLOSED) return -BSYNC_E_CLOSED;
  if (bsync_state.phase == BSYNC_FRESH) {
    make_library_global();
    bsync_watchdog_start(timeout_ms, tell_ms);
    code = start(silent_s);
    bsync_watchdog_stop();
    bsync_state.phase = code == MPI_SUCCESS ? BSYNC_OPEN : BSYNC_CLOSED;
    if (code != MPI_SUCCESS) return bsync_refused(code);
  }
  memcpy(info, facts, sizeof facts);
  return 0;
}
