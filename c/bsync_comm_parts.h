/*
 * bsync_comm_parts: how parts of different lengths, one for each rank, are told
 * to MPI.
 */
#ifndef BSYNC_COMM_PARTS_H
#define BSYNC_COMM_PARTS_H

#include <mpi.h>

/*
 * Counts and places of every rank as MPI wants them: in 32 bits. Where they
 * would not fit, [type] stands for several elements at once.
 */
struct parts {
  MPI_Datatype type;
  int made;
  int *counts;
  int *places;
};

/* Returns 0, or an error; then there is nothing to [bsync_free_parts]. */
int bsync_parts_of(int size, const double *counts, const double *places,
  int type, struct parts *parts);

void bsync_free_parts(struct parts *parts);

#endif
