/*
 * bsync_comm_agree: the collectives of bsync_comm.h among ranks that tell each
 * other their lengths first, where MPI needs the guard: see bsync_guard.h.
 *
 * bsync_comm_agree.c has the reductions, and the collectives in which each rank
 * receives one part; bsync_comm_arrival.c has the collectives in which parts
 * of several ranks come to one rank.
 */
#ifndef BSYNC_COMM_AGREE_H
#define BSYNC_COMM_AGREE_H

#include "bsync_guard.h"

#include <mpi.h>
#include <stdint.h>

#if BSYNC_GUARDS

/*
 * The collectives of bsync_comm.h among ranks that agree: the same arguments
 * and answers. Where a part is longer than its place, its receiver answers
 * -MPI_ERR_TRUNCATE, and has in its array as much of the part as fits; the
 * other ranks have their parts. A reduction of arrays of different lengths has
 * no result: the ranks with the longest array answer -MPI_ERR_COUNT, the others
 * -MPI_ERR_TRUNCATE.
 */
int bsync_agreed_bcast(void *data, int64_t count, int type, int root,
  MPI_Comm on);
int bsync_agreed_gather(const void *sent, void *data, int64_t count, int type,
  int root, MPI_Comm on);
int bsync_agreed_scatter(const void *sent, void *data, int64_t count, int type,
  int root, MPI_Comm on);
int bsync_agreed_allgather(const void *sent, void *data, int64_t count,
  int type, MPI_Comm on);
int bsync_agreed_alltoall(const void *sent, void *data, int64_t count,
  int type, MPI_Comm on);
int bsync_agreed_gatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, int root, MPI_Comm on);
int bsync_agreed_scatterv(const void *sent, const double *counts,
  const double *places, void *data, int64_t count, int type, int root,
  MPI_Comm on);
int bsync_agreed_allgatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, MPI_Comm on);
int bsync_agreed_alltoallv(const void *sent, const double *sent_counts,
  const double *sent_places, void *data, const double *counts,
  const double *places, int type, MPI_Comm on);

/*
 * Before a reduction of [count] elements. Few values travel with their length:
 * then [data] has the result, and the answer is 1. It is 0 where the reduction
 * is still to be done, with arrays of one length, or an error. Where [sent] is
 * NULL no values travel.
 */
int bsync_agree_reduction(const void *sent, void *data, int64_t count,
  int type, int op, MPI_Comm on);

#endif

#endif
