/*
 * For a C program that shares an MPI job with programs of bsync:
 *
 *   mpirun -n 1 ./peer : -n 1 bun run program.ts
 *
 * Communicators are made by all ranks together and in the same order. This
 * does what bsync does when it starts MPI; [world] is then the one that
 * `import { world } from "bsync/mpi"` gives on the other side, and the rest is
 * plain MPI on it. Call it once, right after MPI_Init.
 *
 * Returns MPI_SUCCESS or an error of MPI's. A pool takes every rank for its own
 * that it is not told of: let it name its ranks, as `AsyncPool.open([1, 2])`.
 * At the end call MPI_Finalize, as in any program.
 */
#ifndef BSYNC_PEER_H
#define BSYNC_PEER_H

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

/* The longest name of a host, and a final 0. */
#define BSYNC_HOST 65

/* All ranks tell each other the names of their hosts. */
static inline int bsync_peer_names(MPI_Comm pools)
{
  char name[BSYNC_HOST] = "", *names;
  struct utsname here;
  int size, code;
  MPI_Comm_size(pools, &size);
  names = malloc((size_t)size * sizeof name);
  if (names == NULL) return MPI_ERR_NO_MEM;
  /* What gethostname(2) says, which strict C11 (-std=c11) does not declare. */
  if (uname(&here) == 0) snprintf(name, sizeof name, "%s", here.nodename);
  code = MPI_Allgather(name, sizeof name, MPI_CHAR, names, sizeof name,
    MPI_CHAR, pools);
  free(names);
  return code;
}

static inline int bsync_peer_world(MPI_Comm *world)
{
  MPI_Comm pools, host, programs;
  int code = MPI_Comm_dup(MPI_COMM_WORLD, &pools);
  if (code == MPI_SUCCESS)
    code = MPI_Comm_split_type(pools, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL,
      &host);
  if (code == MPI_SUCCESS) code = MPI_Comm_free(&host);
  if (code == MPI_SUCCESS) code = bsync_peer_names(pools);
  if (code == MPI_SUCCESS) code = MPI_Comm_dup(MPI_COMM_WORLD, world);
  if (code == MPI_SUCCESS)
    code = MPI_Comm_split(MPI_COMM_WORLD, MPI_UNDEFINED, 0, &programs);
  return code;
}

#endif
