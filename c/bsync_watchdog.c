/* See bsync_watchdog.h, which is the manual. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pthread_condattr_setclock */
#endif
#include "bsync_watchdog.h"

#include "bsync_proc.h"

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
  int tell_ms;
  int size;
  int local_size;
  char rank[24];
  char host[64];
} dog;

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

/* The number of the rank that process [pid] was started as; -1 if it was not,
 * or is over. */
static int rank_of(int pid)
{
  static const char *const names[] = {"OMPI_COMM_WORLD_RANK=", "PMI_RANK=",
    "PMI_ID="};
  static char text[256 * 1024];
  size_t length = read_proc(pid, "environ", text, sizeof text), at, i;
  for (at = 0; at < length; at += strlen(text + at) + 1)
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
      if (strncmp(text + at, names[i], strlen(names[i])) == 0)
        return atoi(text + at + strlen(names[i]));
  return -1;
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

/* Has process [pid] loaded an MPI? As each does right before MPI_Init. */
static int has_mpi(int pid)
{
  char path[64], *line = NULL;
  size_t room = 0;
  int found = 0;
  FILE *file;
  snprintf(path, sizeof path, "/proc/%d/maps", pid);
  file = fopen(path, "re");
  if (file == NULL) return 0;
  while (!found && getline(&line, &room, file) > 0)
    found = strstr(line, "/libmpi") != NULL;
  free(line);
  fclose(file);
  return found;
}

static FILE *children_of(int pid)
{
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
  return fopen(path, "re");
}

/* So many of bunx, `bun run` and shells may stand between launcher and rank. */
#define STEPS 4

/* Has a rank come to MPI_Init? [pid] is its process, or leads to it. */
static int has_come(int pid, int steps)
{
  int child, found = has_mpi(pid);
  FILE *children = found || steps == 0 ? NULL : children_of(pid);
  if (children == NULL) return found;
  while (!found && fscanf(children, "%d", &child) == 1)
    found = has_come(child, steps - 1);
  fclose(children);
  return found;
}

/* The ranks of this machine, as far as they are seen. */
struct survey {
  int alive;
  int first_waiting;    /* the lowest that has come to MPI_Init; -1 if none */
  int missing;          /* how many have not, */
  char names[256];      /* and which: "0 (pid 17), 3 (pid 19), ..." */
};

static void add_missing(struct survey *seen, int rank, int pid)
{
  const size_t length = strlen(seen->names), room = sizeof seen->names - length;
  const char *comma = seen->missing++ > 0 ? ", " : "";
  if (room > 48)
    snprintf(seen->names + length, room, "%s%d (pid %d)", comma, rank, pid);
  else if (room > 8 && strstr(seen->names, "...") == NULL)
    snprintf(seen->names + length, room, ", ...");
}

/*
 * The ranks of a machine are children of one parent, or children of its
 * children, with the environment of a rank. [closely] also asks of each whether
 * it has come to MPI_Init. All is 0 where nothing can be known.
 */
static void look_around(struct survey *seen, int closely)
{
  int pid, rank, parent = (int)getppid();
  FILE *children;
  memset(seen, 0, sizeof *seen);
  seen->first_waiting = -1;
  if (!bsync_proc_is_own()) return;
  while (parent > 1 && rank_of(parent) >= 0) parent = parent_of(parent);
  children = children_of(parent);
  if (children == NULL) return;
  while (fscanf(children, "%d", &pid) == 1) {
    rank = rank_of(pid); /* not a zombie's: its environment is gone */
    if (rank < 0) continue;
    seen->alive++;
    if (!closely) continue;
    if (!has_come(pid, STEPS)) add_missing(seen, rank, pid);
    else if (seen->first_waiting < 0 || rank < seen->first_waiting)
      seen->first_waiting = rank;
  }
  fclose(children);
}

/* How many ranks of this machine are over, while this one waits for them. */
static int ranks_over(void)
{
  struct survey seen;
  if (dog.local_size < 2) return 0;
  look_around(&seen, 0);
  if (seen.alive < 1 || seen.alive > dog.local_size) return 0;
  return dog.local_size - seen.alive;
}

/* Puts the ranks that this rank waits for into [text]: "rank 0 (pid 17)". */
static void name_missing(const struct survey *seen, char *text, size_t size)
{
  const int elsewhere = dog.local_size > 0 && dog.size > dog.local_size;
  if (seen->missing > 0)
    snprintf(text, size, "%s %s", seen->missing > 1 ? "ranks" : "rank",
      seen->names);
  else
    snprintf(text, size, "%s", elsewhere ? "a rank of another host"
      : atoi(dog.rank) > 0 ? "rank 0, or another rank" : "another rank");
}

static void say(const char *line, int length)
{
  if (length > 0 && write(2, line, (size_t)length) < 0) {
    /* Nowhere to say it. */
  }
}

static void dog_tells(long passed_ms)
{
  char line[1024], who[320];
  struct survey seen;
  look_around(&seen, 1);
  /* The lowest rank that waits speaks for all of this machine. */
  if (seen.first_waiting >= 0 && seen.first_waiting < atoi(dog.rank)) return;
  name_missing(&seen, who, sizeof who);
  say(line, snprintf(line, sizeof line,
    "bsync: rank %s (host %s) has waited %ld s in MPI_Init for %s to come to "
    "AsyncPool.open, or to use bsync/mpi; it goes on waiting\n",
    dog.rank, dog.host, (passed_ms + 500) / 1000, who));
}

static void dog_bites(long passed_ms, int someone_ended)
{
  char line[1024], who[320];
  struct survey seen;
  const char *elsewhere = dog.local_size > 0 && dog.size > dog.local_size
    ? "; if another host lacks the program or a package, `bunx bsync doctor "
      "-- COMMAND`, with the command that has started this job, names it"
    : "";
  if (someone_ended) {
    say(line, snprintf(line, sizeof line,
      "bsync: rank %s (host %s): the job ends, as another rank has ended "
      "before it had started MPI; if that one gave no reason: every rank has "
      "to call AsyncPool.open, or use bsync/mpi\n", dog.rank, dog.host));
    _exit(1);
  }
  look_around(&seen, 1);
  if (seen.missing > 0) name_missing(&seen, who, sizeof who);
  else strcpy(who, "some rank of this job");
  say(line, snprintf(line, sizeof line,
    "bsync: rank %s (host %s): MPI_Init did not finish within %ld ms: %s never "
    "called AsyncPool.open, nor used bsync/mpi; let every rank run the same "
    "program, or raise openTimeout if starting them takes longer%s\n",
    dog.rank, dog.host, passed_ms, who, elsewhere));
  _exit(1);
}

/* Milliseconds between two looks at the other ranks: less than a second. After
 * a long wait the looks are rarer. */
#define DOG_LOOKS_MS 250
#define DOG_LATE_LOOKS_MS 900
#define DOG_LATE_MS 60000

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

/* ms until something is to be done, [passed] ms from the start. */
static int next_step(long passed, int told)
{
  long step = passed < DOG_LATE_MS ? DOG_LOOKS_MS : DOG_LATE_LOOKS_MS;
  if (dog.timeout_ms > passed && dog.timeout_ms - passed < step)
    step = dog.timeout_ms - passed;
  if (!told && dog.tell_ms > passed && dog.tell_ms - passed < step)
    step = dog.tell_ms - passed;
  return (int)step;
}

/* More time for MPI_Init itself, on a machine with much to do, once all ranks
 * are in it. */
#define DOG_SPARE_MS 10000

/* Are all ranks of the job on this machine, and in MPI_Init? */
static int all_have_come(void)
{
  struct survey seen;
  if (dog.size < 1 || dog.local_size != dog.size) return 0;
  look_around(&seen, 1);
  return seen.alive == dog.size && seen.missing == 0;
}

static int is_late(long passed)
{
  if (dog.timeout_ms <= 0 || passed < dog.timeout_ms) return 0;
  return passed - dog.timeout_ms >= DOG_SPARE_MS || !all_have_come();
}

static void *dog_watches(void *unused)
{
  long passed = 0;
  int looks = 0, told = dog.tell_ms <= 0, late = 0, ended;
  (void)unused;
  pthread_mutex_lock(&dog.mutex);
  while (!dog.ended && !late && looks < DOG_LOOKS) {
    const int step = next_step(passed, told);
    doze(step);
    passed += step;
    if (dog.ended) break;
    pthread_mutex_unlock(&dog.mutex);
    looks = ranks_over() > 0 ? looks + 1 : 0;
    late = is_late(passed);
    if (!told && passed >= dog.tell_ms && !late) {
      told = 1;
      dog_tells(passed);
    }
    pthread_mutex_lock(&dog.mutex);
  }
  ended = dog.ended;
  pthread_mutex_unlock(&dog.mutex);
  if (!ended) dog_bites(passed, looks == DOG_LOOKS);
  return NULL;
}

void bsync_watchdog_start(int timeout_ms, int tell_ms)
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
  /* Now, and not when it is late: MPI_Init may be changing the environment. */
  for (i = 0; i < 4 && rank == NULL; i++) rank = getenv(names[i]);
  snprintf(dog.rank, sizeof dog.rank, "%s", rank != NULL ? rank : "?");
  if (gethostname(dog.host, sizeof dog.host - 1) != 0) strcpy(dog.host, "?");
  dog.timeout_ms = timeout_ms;
  dog.tell_ms = tell_ms;
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
