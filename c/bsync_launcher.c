/* See bsync_launcher.h, which is the manual. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall, readlink, getdelim, kill */
#endif
#include "bsync_launcher.h"

#include "bsync_proc.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ms in which Open MPI's mpirun has to end by itself, and then by SIGTERM. */
#define LAUNCHER_MS 5000

/* A number among the fields of a process's stat (proc(5)); 0 if it has none. */
static unsigned long long stat_field(const char *path, int field)
{
  char text[1024], *at;
  ssize_t length;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  length = read(fd, text, sizeof text - 1);
  close(fd);
  if (length <= 0) return 0;
  text[length] = '\0';
  /* The second field, a name, may hold anything but ends there. */
  at = strrchr(text, ')');
  for (; at != NULL && field > 2; field--) at = strchr(at + 1, ' ');
  return at == NULL ? 0 : strtoull(at, NULL, 10);
}

#define STAT_PARENT 4
#define STAT_START 22

/* Was a process started with [setting], a name and its value? */
static int has_setting(int pid, const char *setting)
{
  char path[64], *entry = NULL;
  size_t room = 0;
  int found = 0;
  FILE *file;
  snprintf(path, sizeof path, "/proc/%d/environ", pid);
  file = fopen(path, "re");
  if (file == NULL) return 0;
  while (!found && getdelim(&entry, &room, '\0', file) > 0)
    found = strcmp(entry, setting) == 0;
  free(entry);
  fclose(file);
  return found;
}

/*
 * The pid of Open MPI's mpirun, if it has started this rank on its own host;
 * else 0. Processes between the two are of the rank's job, which their
 * environment names. The first ancestor whose environment does not name the job
 * is mpirun, or its daemon on this host.
 */
static int find_launcher(void)
{
  char path[64], program[512], setting[512], *name;
  ssize_t length;
  int pid = (int)getppid();
  const char *job = getenv("PMIX_NAMESPACE");
  if (job == NULL || strlen(job) > 400 || !bsync_proc_is_own()) return 0;
  snprintf(setting, sizeof setting, "PMIX_NAMESPACE=%s", job);
  while (pid > 1 && has_setting(pid, setting)) {
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    pid = (int)stat_field(path, STAT_PARENT);
  }
  if (pid <= 1) return 0;
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  length = readlink(path, program, sizeof program - 1);
  if (length < 0) return 0;
  program[length] = '\0';
  name = strrchr(program, '/');
  name = name == NULL ? program : name + 1;
  return strcmp(name, "orterun") == 0 || strcmp(name, "prterun") == 0 ? pid : 0;
}

/* The launcher waits for the end of our pipes: none may stay open here. */
static void close_all(void)
{
  int fd = 0;
#ifdef SYS_close_range
  if (syscall(SYS_close_range, 0U, ~0U, 0U) == 0) return;
#endif
  for (; fd < 65536; fd++) close(fd);
}

void bsync_see_launcher_off(void)
{
  char path[64];
  unsigned long long start;
  int ms;
  const int pid = find_launcher();
  if (pid == 0) return;
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  start = stat_field(path, STAT_START);
  if (start == 0 || fork() != 0) return;
  /* fork leaves one thread, and locks as they were: no stdio, no malloc. */
  setsid();
  close_all();
  for (ms = 0; ms <= 2 * LAUNCHER_MS; ms += 100) {
    poll(NULL, 0, 100);
    if (stat_field(path, STAT_START) != start) break;
    if (ms == LAUNCHER_MS) kill(pid, SIGTERM);
    if (ms == 2 * LAUNCHER_MS) kill(pid, SIGKILL);
  }
  _exit(0);
}
