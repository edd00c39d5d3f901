/*
 * What the files behind bsync_comm.h share: numbers of communicators and of
 * datatypes, and what stands for an array in a call of MPI's.
 */
#ifndef BSYNC_SHAPE_H
#define BSYNC_SHAPE_H

#include "bsync_comm.h"

#include <mpi.h>

/* The answer for an error code of MPI's. */
int bsync_refused(int code);

/* Leaves the function with an error of MPI's. */
#define CHECK(call)                                                            \
  do {                                                                         \
    int code_ = (call);                                                        \
    if (code_ != MPI_SUCCESS) return bsync_refused(code_);                     \
  } while (0)

/* The communicator of that number, or MPI_COMM_NULL and the [answer]. */
MPI_Comm bsync_find_comm(int comm, int *answer);

/* Declares [mpi_comm], or leaves the function with the answer. */
#define FIND(mpi_comm, number)                                                 \
  int found_;                                                                  \
  MPI_Comm mpi_comm = bsync_find_comm(number, &found_);                        \
  if (found_ < 0) return found_

/* MPI_DATATYPE_NULL for a number that is none. */
MPI_Datatype bsync_datatype(int type);

/* Bytes of an element. */
extern const int bsync_widths[BSYNC_TYPES];

/* Elements of that width that MPI may be told of as one count. */
int64_t bsync_block_of(int width);

/* What stands for [count] elements in a call of MPI's: [units] of [type]. */
struct shape {
  MPI_Datatype type;
  int units;
  int made; /* [type] is derived, and to be freed */
};

/* Returns 0, or the answer; then there is nothing to [bsync_unshape]. */
int bsync_shape_of(int64_t count, int type, struct shape *shape);

void bsync_unshape(struct shape *shape);

/* After a call of MPI's with that shape: frees it, and gives the answer. */
int bsync_done(struct shape *shape, int code);

/*
 * Counts and places of every rank as MPI wants them: in 32 bits, of [type],
 * which is several elements in one where they would not fit otherwise.
 */
struct parts {
  MPI_Datatype type;
  int made;
  int *counts;
  int *places;
};

/* Returns 0, or what to answer; then there is nothing to [bsync_free_parts]. */
int bsync_parts_of(int size, const double *counts, const double *places,
  int type, struct parts *parts);

void bsync_free_parts(struct parts *parts);

#endif
