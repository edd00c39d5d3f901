/*
 * bsync_comm_plain: the collectives of bsync_comm.h as MPI does them, without
 * a word between the ranks before, on a communicator of MPI's. The answers are
 * those of bsync_comm.h.
 */
#ifndef BSYNC_COMM_PLAIN_H
#define BSYNC_COMM_PLAIN_H

#include <mpi.h>
#include <stdint.h>

/* MPI_OP_NULL for a number that is none. */
MPI_Op bsync_operation(int op);

int bsync_plain_bcast(void *data, int64_t count, int type, int root,
  MPI_Comm on);
int bsync_plain_gather(const void *sent, void *data, int64_t count, int type,
  int root, MPI_Comm on);
int bsync_plain_scatter(const void *sent, void *data, int64_t count, int type,
  int root, MPI_Comm on);
int bsync_plain_allgather(const void *sent, void *data, int64_t count,
  int type, MPI_Comm on);
int bsync_plain_alltoall(const void *sent, void *data, int64_t count, int type,
  MPI_Comm on);
int bsync_plain_gatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, int root, MPI_Comm on);
int bsync_plain_scatterv(const void *sent, const double *counts,
  const double *places, void *data, int64_t count, int type, int root,
  MPI_Comm on);
int bsync_plain_allgatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, MPI_Comm on);
int bsync_plain_alltoallv(const void *sent, const double *sent_counts,
  const double *sent_places, void *data, const double *counts,
  const double *places, int type, MPI_Comm on);

#endif
