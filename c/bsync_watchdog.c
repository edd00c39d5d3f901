/* See bsync_watchdog.h, which is the manual. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pthread_condattr_setclock */
#endif
#include "bsync_watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
  pthread_t thread;
  pthread_mutex_t mutex;
  pthread_cond_t ended_changed;
  int running;
  int ended;
  int timeout_ms;
  int size;
  int local_size;
  char rank[24];
  char host[64];
} dog;

static void dog_bites(int passed_ms, int someone_ended)
{
  char line[1024];
  const char *elsewhere = dog.local_size > 0 && dog.size > dog.local_size
    ? "; if another host lacks the program or a package, `bunx bsync doctor "
      "-- COMMAND`, with the command that has started this job, names it"
    : "";
  int length = someone_ended
    ? snprintf(line, sizeof line,
        "bsync: rank %s (host %s): the job ends, as another rank has ended "
        "before it had started MPI; if that one gave no reason: every rank has "
        "to call AsyncPool.open, or use bsync/mpi\n", dog.rank, dog.host)
    : snprintf(line, sizeof line,
        "bsync: rank %s (host %s): MPI_Init did not finish within %d ms: some "
        "rank of this job never called AsyncPool.open, nor used bsync/mpi; let "
        "every rank run the same program, or raise openTimeout if starting "
        "them takes longer%s\n", dog.rank, dog.host, passed_ms, elsewhere);
  if (write(2, line, (size_t)length) < 0) {
    /* Nowhere to say it: the exit code has to do. */
  }
  _exit(1);
}

/* The number that the environment gives as the first of [names]; -1 if none. */
static int number_of(const char *const names[], int count)
{
  int i;
  for (i = 0; i < count; i++) {
    const char *value = getenv(names[i]);
    if (value != NULL && *value != '\0') return atoi(value);
  }
  return -1;
}

/* The text of a file of /proc/[pid]; its length, 0 if there is none. */
static size_t read_proc(int pid, const char *name, char *text, size_t size)
{
  char path[64];
  size_t length;
  FILE *file;
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  file = fopen(path, "re"); /* no child is to inherit it */
  if (file == NULL) return 0;
  length = fread(text, 1, size - 1, file);
  fclose(file);
  text[length] = '\0';
  return length;
}

/* Whether process [pid] was started as a rank, and is not over. */
static int is_rank(int pid)
{
  static const char *const names[] = {"OMPI_COMM_WORLD_RANK=", "PMI_RANK=",
    "PMI_ID="};
  static char text[256 * 1024];
  size_t length = read_proc(pid, "environ", text, sizeof text), at, i;
  for (at = 0; at < length; at += strlen(text + at) + 1)
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
      if (strncmp(text + at, names[i], strlen(names[i])) == 0)
        return 1;
  return 0;
}

/* The parent of process [pid]; 0 where that cannot be known. */
static int parent_of(int pid)
{
  char text[512], *end;
  int parent = 0;
  if (read_proc(pid, "stat", text, sizeof text) == 0) return 0;
  /* "pid (name) state parent", where the name may hold anything. */
  end = strrchr(text, ')');
  if (end != NULL) sscanf(end, ") %*c %d", &parent);
  return parent;
}

/*
 * How many of the ranks that the launcher started on this machine are over,
 * while this one waits for them in MPI_Init. They are children of one parent,
 * or children of its children: bunx, `bun run` and shells stand in between,
 * with the environment of a rank. 0 where that cannot be known.
 */
static int ranks_over(void)
{
  char path[64];
  int pid, alive = 0, parent = (int)getppid();
  FILE *children;
  if (dog.local_size < 2) return 0;
  while (parent > 1 && is_rank(parent)) parent = parent_of(parent);
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", parent, parent);
  children = fopen(path, "re");
  if (children == NULL) return 0;
  while (fscanf(children, "%d", &pid) == 1) {
    alive += is_rank(pid); /* not a zombie: its environment is gone */
  }
  fclose(children);
  return alive < 1 || alive > dog.local_size ? 0 : dog.local_size - alive;
}

/* Milliseconds between two looks at the other ranks: less than a second. */
#define DOG_LOOKS_MS 250

/* So many looks have to agree: the launcher may still be starting them. */
#define DOG_LOOKS 3

/* Sleeps for [ms], or until MPI_Init has returned. Holds the mutex else. */
static void doze(int ms)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += ms * 1000000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_sec++;
    until.tv_nsec -= 1000000000L;
  }
  pthread_cond_timedwait(&dog.ended_changed, &dog.mutex, &until);
}

static void *dog_watches(void *unused)
{
  int passed = 0, looks = 0, ended;
  (void)unused;
  pthread_mutex_lock(&dog.mutex);
  while (!dog.ended && passed < dog.timeout_ms && looks < DOG_LOOKS) {
    const int rest = dog.timeout_ms - passed;
    const int step = rest < DOG_LOOKS_MS ? rest : DOG_LOOKS_MS;
    doze(step);
    passed += step;
    looks = !dog.ended && ranks_over() > 0 ? looks + 1 : 0;
  }
  ended = dog.ended;
  pthread_mutex_unlock(&dog.mutex);
  if (!ended) dog_bites(passed, looks == DOG_LOOKS);
  return NULL;
}

void bsync_watchdog_start(int timeout_ms)
{
  static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK",
    "PMIX_RANK", "PMI_ID"};
  static const char *const sizes[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
  static const char *const local_sizes[] = {"OMPI_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS"};
  pthread_condattr_t attributes;
  sigset_t all, before;
  const char *rank = NULL;
  int i;
  if (timeout_ms <= 0) return;
  /* Now, and not when it is late: MPI_Init may be changing the environment. */
  for (i = 0; i < 4 && rank == NULL; i++) rank = getenv(names[i]);
  snprintf(dog.rank, sizeof dog.rank, "%s", rank != NULL ? rank : "?");
  if (gethostname(dog.host, sizeof dog.host - 1) != 0) strcpy(dog.host, "?");
  dog.timeout_ms = timeout_ms;
  dog.size = number_of(sizes, 2);
  dog.local_size = number_of(local_sizes, 2);
  dog.ended = 0;
  pthread_mutex_init(&dog.mutex, NULL);
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(&dog.ended_changed, &attributes);
  pthread_condattr_destroy(&attributes);
  /* The signals of the process are for the threads of its own program. */
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  dog.running = pthread_create(&dog.thread, NULL, dog_watches, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void bsync_watchdog_stop(void)
{
  if (!dog.running) return;
  pthread_mutex_lock(&dog.mutex);
  dog.ended = 1;
  pthread_cond_signal(&dog.ended_changed);
  pthread_mutex_unlock(&dog.mutex);
  pthread_join(dog.thread, NULL);
  dog.running = 0;
}
