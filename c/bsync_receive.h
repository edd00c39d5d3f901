/*
 * bsync_receive: receives that write nothing past their arrays, and the calls
 * of MPI during which they have to go on. bsync_guard.h says why.
 *
 * bsync_receive_guarded.c has them for Open MPI, bsync_receive_plain.c for all
 * others, and bsync_receive.c the memory of both.
 */
#ifndef BSYNC_RECEIVE_H
#define BSYNC_RECEIVE_H

#include "bsync_guard.h"
#include "bsync_shape.h"

#include <mpi.h>
#include <stdint.h>

/* Bytes up to which an array is received into memory of bsync's own. */
#define BSYNC_LITTLE 64

/*
 * A receive that goes on. It waits in a queue, where MPI does not know of it,
 * until its message is there. The receives of a communicator get their messages
 * in the order in which they were started, as MPI's own do (section 3.5). Every
 * function below moves the queue on. A caller that is about to block in MPI
 * calls [bsync_post] first.
 */
struct receive {
  MPI_Request request;
  MPI_Comm on;
  int source, tag;
  void *data;
  struct shape room; /* the receive's to free */
  int64_t bytes;     /* of room in [data] */
  int waits;         /* in the queue */
  int code;          /* the error with which it left the queue */
  struct receive *before, *after;
  int is_little;                 /* its message is received into [little] */
  char little[2 * BSYNC_LITTLE];
};

/*
 * Starts to receive into [data], of [count] elements (MPI_Irecv). [source] and
 * [tag] are MPI's. Returns an error of MPI's or of bsync's, not negated.
 */
int bsync_receive_start(struct receive **made, void *data, int64_t count,
  int type, int source, int tag, MPI_Comm on);

/*
 * MPI_Test, MPI_Wait, and MPI_Cancel with the wait behind it. A caller that is
 * told [done], or gets an error, then calls [bsync_receive_end].
 */
int bsync_receive_test(struct receive *one, int *done, MPI_Status *found);
int bsync_receive_wait(struct receive *one, MPI_Status *found);
int bsync_receive_cancel(struct receive *one, int *cancelled,
  MPI_Status *found);
void bsync_receive_end(struct receive *one);

/* MPI_Recv into [data], of [bytes] bytes, told to MPI as [room]. */
int bsync_receive(void *data, int64_t bytes, const struct shape *room,
  int source, int tag, MPI_Comm on, MPI_Status *found);

/* MPI_Probe, MPI_Iprobe: blind to messages for a receive in the queue. */
int bsync_probe(int source, int tag, MPI_Comm on, MPI_Status *found);
int bsync_iprobe(int source, int tag, MPI_Comm on, int *come,
  MPI_Status *found);

/* MPI_Send, MPI_Test, MPI_Wait: receives go on meanwhile. */
int bsync_send(const void *data, const struct shape *sent, int dest, int tag,
  MPI_Comm on);
int bsync_test(MPI_Request *request, int *done, MPI_Status *found);
int bsync_settle(MPI_Request *request, MPI_Status *found);

/* Gives the whole queue to MPI: the caller is about to block in it. */
void bsync_post(void);

/* ---- For the two forms: the memory of a receive -------------------------- */

/*
 * A receive of these arguments, which MPI does not know of yet. Returns
 * MPI_SUCCESS, or an error of MPI's or of bsync's, not negated; then there is
 * nothing to free.
 */
int bsync_receive_make(struct receive **made, void *data, int64_t count,
  int type, int source, int tag, MPI_Comm on);

/* Gives up its request, if it has one, and its memory. */
void bsync_receive_free(struct receive *one);

#endif
