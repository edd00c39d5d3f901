/* See bsync_proc.h, which is the manual. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "bsync_proc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int bsync_proc_is_own(void)
{
  char text[64], line[256], *rest;
  int own = 1;
  FILE *file;
  const ssize_t length = readlink("/proc/self", text, sizeof text - 1);
  if (length <= 0) return 0;
  text[length] = '\0';
  if (atoi(text) != (int)getpid()) return 0;
  file = fopen("/proc/self/status", "re");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "NSpid:", 6) != 0) continue;
    /* A pid for each namespace from that of /proc to this process's own: a
     * single pid, if the two are the same. */
    strtol(line + 6, &rest, 10);
    own = rest[strspn(rest, " \t\n")] == '\0';
    break;
  }
  fclose(file);
  return own;
}
