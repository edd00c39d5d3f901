/*
 * bsync_comm_told: what a rank tells of a part before it sends the part, for
 * the files behind bsync_comm_agree.h.
 */
#ifndef BSYNC_COMM_TOLD_H
#define BSYNC_COMM_TOLD_H

#include <mpi.h>
#include <stdint.h>

/* Bytes that travel with their length. */
#define FEW 48

/* What a rank tells of a part; and the part itself, if it is but a FEW. */
struct told {
  int64_t bytes;
  int64_t longest; /* of all parts */
  char values[FEW];
};

void bsync_tell(struct told *told, const void *part, int64_t bytes,
  int64_t longest);

/* Puts a part where it belongs, as far as there is room. */
void bsync_put(char *to, int64_t room, const char *from, int64_t bytes);

/* Rank and size, or an error: MPI would find it on some ranks only. */
int bsync_rooted(int root, MPI_Comm on, int *rank, int *size);

/* Bytes of [count] elements, or an error. */
int64_t bsync_bytes_of(int64_t count, int type);

#endif
