/* See bsync_mpi.h, which is the manual. */
#define _GNU_SOURCE /* dladdr, RTLD_NOLOAD */
#include "bsync_mpi.h"
#include "bsync_comm.h"
#include "bsync_guard.h"
#include "bsync_watch.h"
#include "bsync_watchdog.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <mpi.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRESH 0
#define OPEN 1
#define CLOSED 2

/* What a launcher may take to answer a farewell. */
#define FAREWELL_MS 1000

static int state = FRESH;
static int ours; /* did we start MPI, so that we end it? */
static MPI_Comm comm = MPI_COMM_NULL;
static MPI_Comm programs = MPI_COMM_NULL; /* without C programs */
static MPI_Request parting;
static int parts;  /* [parting] was started */
static int parted; /* and is done */
static int32_t facts[8];

/* What a function answers when MPI said [code]. */
static int answer(int code)
{
  return code > 0 ? -code : -MPI_ERR_OTHER;
}

static int not_open(void)
{
  return state == FRESH ? -BSYNC_E_FRESH : -BSYNC_E_CLOSED;
}

int bsync_mpi_running(void)
{
  return state == OPEN ? 0 : not_open();
}

int bsync_mpi_abi(void)
{
  return BSYNC_MPI_ABI;
}

int bsync_mpi_family(void)
{
#if defined(OPEN_MPI)
  return BSYNC_FAMILY_OPENMPI;
#elif defined(MPICH_VERSION) || defined(MPICH_NUMVERSION) ||                   \
  defined(I_MPI_VERSION) || defined(MVAPICH2_VERSION)
  return BSYNC_FAMILY_MPICH;
#else
  return BSYNC_FAMILY_UNKNOWN;
#endif
}

/* ---- Beginning and end -------------------------------------------------- */

/*
 * The plugins of Open MPI before version 3 look for libmpi's symbols in the
 * global scope, and whoever loaded this file has loaded libmpi into a local
 * one. To open it once more with RTLD_GLOBAL moves it.
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
  ours = 1;
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
  return MPI_SUCCESS;
}

static int count_ranks_on_host(int *count)
{
  MPI_Comm host;
  int code = MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL,
    &host);
  if (code != MPI_SUCCESS) return code;
  MPI_Comm_size(host, count);
  return MPI_Comm_free(&host);
}

/* The names of all hosts, by rank, each ended by a 0. */
static char *hosts;

static int gather_hosts(int size)
{
  char name[BSYNC_HOST] = "";
  gethostname(name, sizeof name - 1);
  hosts = malloc((size_t)size * sizeof name);
  if (hosts == NULL) return BSYNC_E_MEMORY;
  return MPI_Allgather(name, sizeof name, MPI_CHAR, hosts, sizeof name,
    MPI_CHAR, comm);
}

/*
 * From a thread of bsync_watch.c, be MPI granted for that or not: this process
 * is at its end, and its main thread may never get here. MPICH's launcher, told
 * less, would go on to wait for the host that is gone.
 */
static void end_at_once(void)
{
  MPI_Abort(MPI_COMM_WORLD, 1);
  _exit(1);
}

/* See bsync_watch.h; the first of the programs leads, and says for how long. */
static int watch_hosts(int silent_s)
{
  struct bsync_watch_job job;
  struct bsync_watch_place place;
  MPI_Comm host;
  int rank, first, code;
  if (facts[3] == facts[1]) return MPI_SUCCESS;
  job.rank = facts[0];
  job.size = facts[1];
  job.hosts = hosts;
  job.name_bytes = BSYNC_HOST;
  job.end = end_at_once;
  memset(&place, 0, sizeof place);
  MPI_Comm_rank(programs, &rank);
  if (rank == 0 && silent_s > 0) bsync_watch_lead(&job, silent_s, &place);
  code = MPI_Bcast(&place, sizeof place, MPI_BYTE, 0, programs);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Comm_split_type(programs, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL,
    &host);
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
  code = MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  if (code != MPI_SUCCESS) return code;
  MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN);
  MPI_Comm_rank(comm, &rank);
  MPI_Comm_size(comm, &size);
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &tag_limit, &found);
  MPI_Get_version(&major, &minor);
  code = count_ranks_on_host(&count);
  if (code != MPI_SUCCESS) return code;
  code = gather_hosts(size);
  if (code != MPI_SUCCESS) return code;
  code = bsync_comm_start();
  if (code != MPI_SUCCESS) return code;
  code = MPI_Comm_split(MPI_COMM_WORLD, 0, 0, &programs);
  if (code != MPI_SUCCESS) return code;
  MPI_Comm_set_errhandler(programs, MPI_ERRORS_RETURN);
  facts[0] = rank;
  facts[1] = size;
  facts[2] = found ? *tag_limit : 32767;
  facts[3] = count;
  facts[4] = level >= MPI_THREAD_FUNNELED;
  facts[5] = !ours;
  facts[6] = 100 * major + minor;
  facts[7] = BSYNC_SMALL;
  return watch_hosts(silent_s);
}

int bsync_mpi_init(int timeout_ms, int tell_ms, int silent_s, int32_t info[8])
{
  int code;
  if (state == CLOSED) return -BSYNC_E_CLOSED;
  if (state == FRESH) {
    make_library_global();
    bsync_watchdog_start(timeout_ms, tell_ms);
    code = start(silent_s);
    bsync_watchdog_stop();
    state = code == MPI_SUCCESS ? OPEN : CLOSED;
    if (code != MPI_SUCCESS) return answer(code);
  }
  memcpy(info, facts, sizeof facts);
  return 0;
}

int bsync_all_programs(MPI_Comm on)
{
  MPI_Group members, some;
  int i, size, rank, all = 1;
  MPI_Comm_size(programs, &size);
  if (size == facts[1]) return 1;
  if (MPI_Comm_group(on, &members) != MPI_SUCCESS) return 0;
  MPI_Comm_group(programs, &some);
  MPI_Group_size(members, &size);
  for (i = 0; i < size && all; i++) {
    MPI_Group_translate_ranks(members, 1, &i, some, &rank);
    all = rank != MPI_UNDEFINED;
  }
  MPI_Group_free(&some);
  MPI_Group_free(&members);
  return all;
}

int bsync_mpi_leave(void)
{
  int all = 0, code;
  if (state != OPEN) return not_open();
  if (!parts) {
    code = MPI_Ibarrier(programs, &parting);
    if (code != MPI_SUCCESS) return answer(code);
    parts = 1;
  }
  /* A request that is done is null, and done whenever it is asked. */
  code = MPI_Test(&parting, &all, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS) return answer(code);
  if (all) parted = 1;
  return all;
}

static int nap(int64_t us);

/* MPICH over UCX, before 4.2, on several hosts, where all are at their ends. */
static int is_endless(void)
{
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length = 0, major = 9, minor = 0, count;
  if (!parted || facts[3] == facts[1]) return 0;
  MPI_Comm_size(programs, &count);
  MPI_Get_library_version(text, &length);
  if (count < facts[1] || strstr(text, "ch4:ucx") == NULL) return 0;
  sscanf(text, "MPICH Version: %d.%d", &major, &minor);
  return major < 4 || (major == 4 && minor < 2);
}

static void linger(int ms)
{
  int found;
  for (; ms > 0; ms--) {
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm, &found, MPI_STATUS_IGNORE);
    nap(1000);
  }
}

/*
 * Says to the launcher what MPI_Finalize would have said, in words of PMI-1,
 * which this MPICH has inside unless it was built for a library of PMI. Hydra
 * takes a rank that ends without for dead, and kills the others of its host
 * that have not ended. It answers; how is of no interest, nor whether.
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
  if (state != OPEN) return 0;
  endless = is_endless();
  bsync_comm_stop();
  state = CLOSED;
  if (endless) {
    linger(linger_ms);
    take_leave();
    return 0;
  }
  code = ours ? MPI_Finalize() : MPI_Comm_free(&comm);
  return code == MPI_SUCCESS ? 0 : answer(code);
}

int bsync_mpi_abort(int code)
{
  if (state == OPEN) MPI_Abort(MPI_COMM_WORLD, code);
  _exit(code);
  return 0; /* never; TinyCC does not know */
}

/* ---- Requests ----------------------------------------------------------- */

/*
 * Request n is slot n - 1. Free slots form a list through [next]; a slot in
 * use has next == USED. [copy] belongs to the slot and serves again.
 */
#define USED (-2)
#define NONE (-1)

struct slot {
  MPI_Request request;     /* of a send */
  struct receive *receive; /* or this */
  int next;
  char *copy;
};

static struct slot *slots;
static int slot_count;
static int free_slot = NONE;
static int pending;

static int more_slots(void)
{
  int i, count = slot_count == 0 ? 64 : 2 * slot_count;
  struct slot *grown = realloc(slots, (size_t)count * sizeof *grown);
  if (grown == NULL) return -BSYNC_E_MEMORY;
  slots = grown;
  for (i = slot_count; i < count; i++) {
    slots[i].request = MPI_REQUEST_NULL;
    slots[i].receive = NULL;
    slots[i].next = i + 1 < count ? i + 1 : NONE;
    slots[i].copy = NULL;
  }
  free_slot = slot_count;
  slot_count = count;
  return 0;
}

static void take(struct slot *slot)
{
  free_slot = slot->next;
  slot->next = USED;
  pending++;
}

static void give_back(int index)
{
  if (slots[index].receive != NULL) bsync_receive_end(slots[index].receive);
  slots[index].receive = NULL;
  slots[index].next = free_slot;
  free_slot = index;
  pending--;
}

int bsync_mpi_pending(void)
{
  return state == OPEN ? pending : 0;
}

int bsync_mpi_test(int request)
{
  MPI_Status found;
  int index, done = 0, code;
  if (state != OPEN) return not_open();
  if (request < 1 || request > slot_count || slots[request - 1].next != USED)
    return -BSYNC_E_REQUEST;
  index = request - 1;
  code = slots[index].receive != NULL
    ? bsync_receive_test(slots[index].receive, &done, &found)
    : bsync_test(&slots[index].request, &done, MPI_STATUS_IGNORE);
  if (code == MPI_SUCCESS && !done) return 0;
  if (code != MPI_SUCCESS && slots[index].request != MPI_REQUEST_NULL)
    MPI_Request_free(&slots[index].request);
  give_back(index);
  return code == MPI_SUCCESS ? 1 : answer(code);
}

/* ---- Messages ----------------------------------------------------------- */

/* Returns 1 and [status] when there is such a message, else 0. */
static int look(int source, int tag, int32_t status[3])
{
  MPI_Status found;
  int flag = 0, bytes = 0, code;
  code = bsync_iprobe(source == BSYNC_ANY ? MPI_ANY_SOURCE : source,
    tag == BSYNC_ANY ? MPI_ANY_TAG : tag, comm, &flag, &found);
  if (code != MPI_SUCCESS) return answer(code);
  if (!flag) return 0;
  code = MPI_Get_count(&found, MPI_BYTE, &bytes);
  if (code != MPI_SUCCESS) return answer(code);
  status[0] = found.MPI_SOURCE;
  status[1] = found.MPI_TAG;
  status[2] = bytes;
  return 1;
}

int bsync_mpi_poll(void *buffer, int capacity, int32_t status[3])
{
  int code;
  if (state != OPEN) return not_open();
  code = look(BSYNC_ANY, BSYNC_ANY, status);
  if (code != 1) return code;
  if (status[2] > capacity || status[2] > BSYNC_SMALL) return 2;
  /* There is one thread: nobody else can have taken the probed message. */
  code = MPI_Recv(buffer, status[2], MPI_BYTE, status[0], status[1], comm,
    MPI_STATUS_IGNORE);
  return code == MPI_SUCCESS ? 1 : answer(code);
}

int bsync_mpi_probe(int source, int tag, int32_t status[3])
{
  if (state != OPEN) return not_open();
  if (source < BSYNC_ANY || tag < BSYNC_ANY) return -BSYNC_E_ARGUMENT;
  return look(source, tag, status);
}

int bsync_mpi_receive(void *buffer, int bytes, int source, int tag)
{
  struct slot *slot;
  int code;
  if (state != OPEN) return not_open();
  if (bytes < 0 || source < BSYNC_ANY || tag < BSYNC_ANY)
    return -BSYNC_E_ARGUMENT;
  if (free_slot == NONE && more_slots() < 0) return -BSYNC_E_MEMORY;
  slot = &slots[free_slot];
  code = bsync_receive_start(&slot->receive, buffer, bytes, BSYNC_BYTE,
    source == BSYNC_ANY ? MPI_ANY_SOURCE : source,
    tag == BSYNC_ANY ? MPI_ANY_TAG : tag, comm);
  if (code != MPI_SUCCESS) return answer(code);
  take(slot);
  return (int)(slot - slots) + 1;
}

int bsync_mpi_send(const void *buffer, int bytes, int dest, int tag)
{
  struct slot *slot;
  int done = 0, code;
  if (state != OPEN) return not_open();
  /* A rank below 0 is a constant of the family, MPI_PROC_NULL for one. */
  if (bytes < 0 || dest < 0 || tag < 0) return -BSYNC_E_ARGUMENT;
  if (free_slot == NONE && more_slots() < 0) return -BSYNC_E_MEMORY;
  slot = &slots[free_slot];
  if (bytes <= BSYNC_COPY) {
    if (slot->copy == NULL) slot->copy = malloc(BSYNC_COPY);
    if (slot->copy == NULL) return -BSYNC_E_MEMORY;
    memcpy(slot->copy, buffer, (size_t)bytes);
    buffer = slot->copy;
  }
  code = MPI_Isend(buffer, bytes, MPI_BYTE, dest, tag, comm, &slot->request);
  if (code != MPI_SUCCESS) return answer(code);
  code = MPI_Test(&slot->request, &done, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS) {
    if (slot->request != MPI_REQUEST_NULL) MPI_Request_free(&slot->request);
    return answer(code);
  }
  if (done) return 0;
  take(slot);
  return (int)(slot - slots) + 1;
}

/* ---- Waiting ------------------------------------------------------------ */

static int64_t now_us(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/*
 * Returns 0, or -1 when a signal cut it short. Linux ends a nap up to 50 us
 * late, to join it with others (PR_SET_TIMERSLACK). That stays as it is: it is
 * a setting of the whole thread, which is not ours, and a nap that is shorter
 * by as much wakes as early, at the same cost.
 */
static int nap(int64_t us)
{
  struct timespec length;
  length.tv_sec = (time_t)(us / 1000000);
  length.tv_nsec = (long)(us % 1000000) * 1000;
  return nanosleep(&length, NULL) == 0 || errno != EINTR ? 0 : -1;
}

int bsync_mpi_wait(int spin_us, int yield_us, int nap_us, int total_us)
{
  int64_t passed, begin;
  int32_t status[3];
  int i, found;
  if (state != OPEN) return not_open();
  begin = now_us();
  for (;;) {
    /* Eight looks to one at the clock, which costs as much as a look; two at
     * least, for MPICH finds what has just come at the second. */
    for (i = 0; i < 8; i++) {
      found = look(BSYNC_ANY, BSYNC_ANY, status);
      if (found != 0) return found;
      if (i == 1 && spin_us == 0) break;
    }
    passed = now_us() - begin;
    if (passed >= total_us) return 0;
    if (passed < spin_us) continue;
    if (passed < (int64_t)spin_us + yield_us) {
      sched_yield();
      continue;
    }
    spin_us = 0;
    if (nap_us > total_us - passed) nap_us = (int)(total_us - passed);
    if (nap(nap_us) < 0) return 0;
  }
}

/* ---- Texts -------------------------------------------------------------- */

static int put(const char *from, char *text, int size)
{
  if (size <= 0) return -BSYNC_E_ARGUMENT;
  snprintf(text, (size_t)size, "%s", from);
  return (int)strlen(text);
}

static const char *own_text(int code)
{
  switch (code) {
  case BSYNC_E_FRESH: return "MPI was not started in this process";
  case BSYNC_E_CLOSED: return "MPI has ended in this process";
  case BSYNC_E_REQUEST: return "no such request";
  case BSYNC_E_MEMORY: return "out of memory";
  case BSYNC_E_ARGUMENT: return "negative length, rank or tag";
  case BSYNC_E_LARGE:
    return "too much to be counted in 32 bits: use parts of equal length";
  default: return NULL;
  }
}

int bsync_mpi_host(int rank, char *text, int size)
{
  if (hosts == NULL) return not_open();
  if (rank < 0 || rank >= facts[1]) return -BSYNC_E_ARGUMENT;
  return put(hosts + rank * BSYNC_HOST, text, size);
}

/* Also after a start that has failed, whose error is to be told. */
static int mpi_runs(void)
{
  int started = 0, over = 0;
  MPI_Initialized(&started);
  MPI_Finalized(&over);
  return started && !over;
}

int bsync_mpi_error_text(int code, char *text, int size)
{
  char from[MPI_MAX_ERROR_STRING + 1] = "";
  int length = 0;
  if (code < 0) code = code < -INT_MAX ? INT_MAX : -code;
  if (own_text(code) != NULL) return put(own_text(code), text, size);
  if (!mpi_runs() || MPI_Error_string(code, from, &length) != MPI_SUCCESS)
    snprintf(from, sizeof from, "MPI error %d", code);
  return put(from, text, size);
}

int bsync_mpi_error_class(int code, char *text, int size)
{
#define NAMED(name) {name, #name}
  static const struct {
    int class;
    const char *name;
  } classes[] = {NAMED(MPI_ERR_BUFFER), NAMED(MPI_ERR_COUNT),
    NAMED(MPI_ERR_TYPE), NAMED(MPI_ERR_TAG), NAMED(MPI_ERR_COMM),
    NAMED(MPI_ERR_RANK), NAMED(MPI_ERR_REQUEST), NAMED(MPI_ERR_ROOT),
    NAMED(MPI_ERR_GROUP), NAMED(MPI_ERR_OP), NAMED(MPI_ERR_TOPOLOGY),
    NAMED(MPI_ERR_DIMS), NAMED(MPI_ERR_ARG), NAMED(MPI_ERR_UNKNOWN),
    NAMED(MPI_ERR_TRUNCATE), NAMED(MPI_ERR_OTHER), NAMED(MPI_ERR_INTERN),
    NAMED(MPI_ERR_IN_STATUS), NAMED(MPI_ERR_PENDING), NAMED(MPI_ERR_NO_MEM)};
#undef NAMED
  int class = 0;
  size_t i;
  if (code < 0) code = code < -INT_MAX ? INT_MAX : -code;
  if (own_text(code) == NULL && mpi_runs() &&
    MPI_Error_class(code, &class) == MPI_SUCCESS)
    for (i = 0; i < sizeof classes / sizeof *classes; i++)
      if (classes[i].class == class) return put(classes[i].name, text, size);
  return put("", text, size);
}

static int tools; /* was MPI_T started? */

int bsync_mpi_variable(int index, char *text, int size)
{
  int level, count = 0, length = size, verbosity, binding, scope, code;
  MPI_Datatype type;
  if (state != OPEN) return not_open();
  if (index < 0 || size <= 0) return -BSYNC_E_ARGUMENT;
  /* For good: MPICH 4.0 does not survive to begin with it a second time. */
  if (!tools) {
    code = MPI_T_init_thread(MPI_THREAD_FUNNELED, &level);
    if (code != MPI_SUCCESS) return answer(code);
    tools = 1;
  }
  MPI_T_cvar_get_num(&count);
  text[0] = '\0';
  if (index < count &&
      MPI_T_cvar_get_info(index, text, &length, &verbosity, &type, NULL,
        NULL, NULL, &binding, &scope) != MPI_SUCCESS)
    text[0] = '\0';
  return index < count ? (int)strlen(text) : -BSYNC_E_ARGUMENT;
}

int bsync_mpi_library_version(char *text, int size)
{
  char from[MPI_MAX_LIBRARY_VERSION_STRING + 1] = "";
  int length = 0;
  int code = MPI_Get_library_version(from, &length);
  if (code != MPI_SUCCESS) return answer(code);
  return put(from, text, size);
}
