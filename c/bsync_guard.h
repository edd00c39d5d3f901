/*
 * The guard: what keeps Open MPI from writing a message past the end of the
 * array that it is received into.
 *
 * A message longer than its array is MPI_ERR_TRUNCATE, and nothing beyond the
 * array is written (MPI 4.0 section 3.2.4). Open MPI (4.1, and as far as known
 * all of them) writes what is longer than some KiB to its end before it says
 * so: the receiver's hardware, or its kernel, is told to fetch all that the
 * sender has (the "get" and "put" of its transports), whatever the room. So
 *
 * - a receive is given to MPI when its message has come, whose length is known
 *   then; or it is given a room that is bounded: a datatype of the array and
 *   of two elements elsewhere. Such a room is no single piece of memory, and
 *   Open MPI copies into it piece by piece, as far as it goes;
 * - in a collective all ranks tell their lengths first, and then all of them
 *   call MPI with the same ones. An array too short for what comes is replaced
 *   by memory that is not.
 *
 * Other MPIs need none of it: there the functions below are MPI's own.
 */
#ifndef BSYNC_GUARD_H
#define BSYNC_GUARD_H

#include "bsync_shape.h"

#include <mpi.h>
#include <stdlib.h>

#if defined(OPEN_MPI)
#define BSYNC_GUARDS 1
#else
#define BSYNC_GUARDS 0
#endif

/* ---- Receives ----------------------------------------------------------- */

/* Bytes up to which an array is received into memory of bsync's own. */
#define BSYNC_LITTLE 64

/*
 * A receive that goes on. It waits in a queue, where MPI does not know of it,
 * until its message is there. Those of a communicator get their messages in
 * the order in which they were started, as MPI's own do (section 3.5). All
 * that follows moves the queue on; what blocks in MPI calls [bsync_post]
 * before.
 */
struct receive {
  MPI_Request request;
  MPI_Comm on;
  int source, tag;
  void *data;
  struct shape room; /* the receive's to free */
  int64_t bytes;     /* that [data] has room for */
  int waits;         /* in the queue */
  int code;          /* what went wrong when it left that */
  struct receive *before, *after;
  int is_little;                 /* it is received here */
  char little[2 * BSYNC_LITTLE];
};

/*
 * Starts to receive into [data], of [count] elements (MPI_Irecv). [source] and
 * [tag] are MPI's. Returns an error of MPI's or of bsync's, not negated.
 */
int bsync_receive_start(struct receive **made, void *data, int64_t count,
  int type, int source, int tag, MPI_Comm on);

/*
 * MPI_Test, MPI_Wait, and MPI_Cancel with the wait behind it. Whoever is told
 * that it is [done], or gets an error, calls [bsync_receive_end] then.
 */
int bsync_receive_test(struct receive *one, int *done, MPI_Status *found);
int bsync_receive_wait(struct receive *one, MPI_Status *found);
int bsync_receive_cancel(struct receive *one, int *cancelled,
  MPI_Status *found);
void bsync_receive_end(struct receive *one);

/* MPI_Recv into [data], of [bytes], which is that [room]. */
int bsync_receive(void *data, int64_t bytes, const struct shape *room,
  int source, int tag, MPI_Comm on, MPI_Status *found);

/* MPI_Probe, MPI_Iprobe: what a receive in the queue is to have is not seen. */
int bsync_probe(int source, int tag, MPI_Comm on, MPI_Status *found);
int bsync_iprobe(int source, int tag, MPI_Comm on, int *come,
  MPI_Status *found);

/* MPI_Send, MPI_Test, MPI_Wait: receives go on meanwhile. */
int bsync_send(const void *data, const struct shape *sent, int dest, int tag,
  MPI_Comm on);
int bsync_test(MPI_Request *request, int *done, MPI_Status *found);
int bsync_settle(MPI_Request *request, MPI_Status *found);

/* Gives all that wait to MPI: the caller is about to block in it. */
void bsync_post(void);

/* ---- Lengths ------------------------------------------------------------ */

/*
 * Whether the ranks of [comm] tell their lengths before they do something
 * together: not where C programs are among them, which say nothing.
 */
int bsync_agrees(int comm);

/* For bsync_comm.c: whether all ranks of [on] are programs of bsync. */
int bsync_all_programs(MPI_Comm on);

/*
 * The collectives of bsync_comm.h among ranks that agree: the same arguments
 * and answers. Where a part is longer than its place, its receiver answers
 * -MPI_ERR_TRUNCATE, what fits is in its array, and the others have what they
 * would have; a reduction of arrays of different lengths has no result, and
 * those with the longest answer -MPI_ERR_COUNT.
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
 * Before a reduction of [count] elements: 1 where [data] has the result, for few
 * values travel with their length; 0 where it is to be done, with arrays of one
 * length; or what to answer. Where [sent] is NULL no values travel.
 */
int bsync_agree_reduction(const void *sent, void *data, int64_t count,
  int type, int op, MPI_Comm on);

/* ---- For them: the collectives as MPI does them, without a word before -- */

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
