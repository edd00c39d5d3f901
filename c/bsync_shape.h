/*
 * bsync_shape: how an array of bsync's is told to MPI: the datatype of its
 * elements, and, where an int cannot count them, one datatype for the whole.
 */
#ifndef BSYNC_SHAPE_H
#define BSYNC_SHAPE_H

#include "bsync_codes.h"

#include <mpi.h>
#include <stdint.h>

/* MPI_DATATYPE_NULL for a number that is none. */
MPI_Datatype bsync_datatype(int type);

/* Bytes of an element. */
extern const int bsync_widths[BSYNC_TYPES];

/* Bytes past which an array counts as long: see [bsync_comm_limit]. */
void bsync_shape_limit(int64_t bytes);

/* How many elements of that width one count may tell MPI of. */
int64_t bsync_block_of(int width);

/* [units] of [type] stand for the elements of an array in a call of MPI's. */
struct shape {
  MPI_Datatype type;
  int units;
  int made; /* [type] is derived, and to be freed */
};

/* Returns 0, or an error; then there is nothing to [bsync_unshape]. */
int bsync_shape_of(int64_t count, int type, struct shape *shape);

void bsync_unshape(struct shape *shape);

/* Frees the shape after a call of MPI's, whose [code] becomes the answer. */
int bsync_done(struct shape *shape, int code);

#endif
