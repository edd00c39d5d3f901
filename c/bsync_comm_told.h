/*
 * bsync_comm_told: the message that a rank sends ahead of a part, with its
 * length; and checks that every rank makes before. For the files behind
 * bsync_comm_agree.h.
 */
#ifndef BSYNC_COMM_TOLD_H
#define BSYNC_COMM_TOLD_H

#include <mpi.h>
#include <stdint.h>

/* Bytes that travel with their length. */
#define FEW 48

/* The length of a part; and the part itself, if that is a FEW bytes. */
struct told {
  int64_t bytes;
  int64_t longest; /* of all parts */
  char values[FEW];
};

/* Fills [told] for a part, of which the longest has [longest] bytes. */
void bsync_tell(struct told *told, const void *part, int64_t bytes,
  int64_t longest);

/* Copies a part to its array, as far as there is room. */
void bsync_put(char *to, int64_t room, const char *from, int64_t bytes);

/* Rank and size, or an error: MPI would find it on some ranks only. */
int bsync_rooted(int root, MPI_Comm on, int *rank, int *size);

/* Bytes of [count] elements, or an error. */
int64_t bsync_bytes_of(int64_t count, int type);

#endif
