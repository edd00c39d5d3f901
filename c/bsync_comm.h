/*
 * bsync_comm: communicators, messages, requests and collectives for the
 * programs that use "bsync/mpi", behind the same ABI of plain integers and
 * pointers as bsync_mpi.h, whose rules hold here too: 0 or more is an answer,
 * less than 0 is minus an error code.
 *
 * Communicators, requests, datatypes and operations are small numbers:
 *
 * - A communicator is 1 or more; BSYNC_COMM_WORLD is a duplicate of
 *   MPI_COMM_WORLD that [bsync_mpi_init] makes on every rank, right after the
 *   pool's own. A number that stands for none is -MPI_ERR_COMM.
 * - A request is 1 or more. A number that stands for none is -BSYNC_E_REQUEST.
 * - Datatypes and operations are those of bsync_codes.h. Any other number is
 *   -MPI_ERR_TYPE, -MPI_ERR_OP.
 *
 * Counts are of elements, and 64 bits wide. An array above the limit
 * ([bsync_comm_limit]) travels as a derived datatype made of blocks (MPI 4.0
 * section 5.1.2): still one message, with the same type signature, so that the
 * other side may be any program. Reductions, which work on predefined
 * datatypes only, are then done block by block.
 *
 * [status] is three doubles that the caller owns: source, tag, and the number
 * of elements received; -1 where the message is no whole number of them (then
 * the answer is -MPI_ERR_TYPE). Doubles, since they carry every count, and
 * JavaScript has no other numbers.
 *
 * A message that is longer than the place for it is -MPI_ERR_TRUNCATE, under
 * every MPI, and nothing is written beyond that place: see bsync_guard.h.
 *
 * An address is not kept after the call, but for those given to
 * [bsync_comm_isend] and [bsync_comm_irecv]. Calls block where MPI's do.
 *
 * Sections are those of the MPI 4.0 standard.
 */
#ifndef BSYNC_COMM_H
#define BSYNC_COMM_H

#include "bsync_codes.h"

#include <stdint.h>

#define BSYNC_COMM_WORLD 1

/* ---- For bsync_start.c and bsync_end.c ---------------------------------- */

/* Makes BSYNC_COMM_WORLD. Collective over MPI_COMM_WORLD. */
int bsync_comm_start(void);

/*
 * Lets go of all that is open: receives are cancelled (section 3.8.4), since
 * MPI_Finalize may wait for them.
 */
void bsync_comm_stop(void);

/* ---- Settings and facts ------------------------------------------------- */

/*
 * Bytes past which an array counts as long, 1 or more; by default 2^31 - 1
 * elements do. Must be the same on all ranks that reduce together.
 */
int bsync_comm_limit(int64_t bytes);

/* The rank in [comm] (section 7.4.1), and how many there are. */
int bsync_comm_rank(int comm);
int bsync_comm_size(int comm);

/*
 * Fills [ranks], which has room for [count], with the rank in MPI_COMM_WORLD of
 * each member of [comm], in order (MPI_Group_translate_ranks, section 7.3.1).
 */
int bsync_comm_members(int comm, int32_t *ranks, int count);

/* Seconds since some time in the past (section 9.6). */
double bsync_comm_wtime(void);

/* The name of this machine (section 9.1.2), as [bsync_mpi_error_text] does. */
int bsync_comm_processor_name(char *text, int size);

/*
 * MPI's own number for a class of errors, to tell a mistake that was found
 * before MPI was asked: 0 MPI_ERR_BUFFER, 1 COUNT, 2 TYPE, 3 TAG, 4 COMM,
 * 5 RANK, 6 ROOT, 7 GROUP, 8 OP, 9 ARG, 10 REQUEST. 0 for any other number.
 */
int bsync_comm_error(int which);

/* ---- Communicators ------------------------------------------------------ */

/* A duplicate (MPI_Comm_dup, section 7.4.2). Collective. */
int bsync_comm_dup(int comm);

/*
 * One communicator for each [color], its ranks in the order of [key]
 * (MPI_Comm_split, section 7.4.2). Collective. A [color] below 0 takes part
 * and gets none: the answer is 0.
 */
int bsync_comm_split(int comm, int color, int key);

/*
 * A communicator of these [count] ranks of [comm], in this order
 * (MPI_Comm_create_group, section 7.4.2). Called by its members, and by them
 * only; [tag] tells calls apart that go on at the same time.
 */
int bsync_comm_group(int comm, const int32_t *ranks, int count, int tag);

/* Frees [comm] (MPI_Comm_free, section 7.4.3). Collective. Not the world. */
int bsync_comm_free(int comm);

/* ---- Point to point ----------------------------------------------------- */

/* MPI_Send, section 3.2.1. */
int bsync_comm_send(const void *data, int64_t count, int type, int dest,
  int tag, int comm);

/* MPI_Recv, section 3.2.4. */
int bsync_comm_recv(void *data, int64_t count, int type, int source, int tag,
  int comm, double status[3]);

/* MPI_Sendrecv, section 3.10. */
int bsync_comm_sendrecv(const void *sent, int64_t sent_count, int sent_type,
  int dest, int sent_tag, void *data, int64_t count, int type, int source,
  int tag, int comm, double status[3]);

/*
 * MPI_Isend and MPI_Irecv, section 3.7.2. Return a request. The caller keeps
 * [data] alive and unmoved until [bsync_comm_test], [bsync_comm_wait] or
 * [bsync_comm_cancel] says that it is done.
 */
int bsync_comm_isend(const void *data, int64_t count, int type, int dest,
  int tag, int comm);
int bsync_comm_irecv(void *data, int64_t count, int type, int source, int tag,
  int comm);

/*
 * Is [request] done (MPI_Test, section 3.7.3)? 0: not yet. 1: it is, and its
 * number is free; so it is after an error. [status] is filled for a receive.
 */
int bsync_comm_test(int request, double status[3]);

/* Waits until it is (MPI_Wait, section 3.7.3). Returns 1. */
int bsync_comm_wait(int request, double status[3]);

/*
 * Gives up a receive (MPI_Cancel, section 3.8.4). Returns 1, or 0 if it was
 * done already; [status] is filled then. Of a send: -MPI_ERR_REQUEST.
 */
int bsync_comm_cancel(int request, double status[3]);

/* MPI_Probe, section 3.8.1. The count in [status] is of bytes. */
int bsync_comm_probe(int source, int tag, int comm, double status[3]);

/* MPI_Iprobe, section 3.8.1: 1 and [status], or 0. */
int bsync_comm_iprobe(int source, int tag, int comm, double status[3]);

/* ---- Collectives -------------------------------------------------------- */

/* MPI_Barrier, section 6.3. */
int bsync_comm_barrier(int comm);

/* MPI_Bcast, section 6.4. */
int bsync_comm_bcast(void *data, int64_t count, int type, int root, int comm);

/*
 * MPI_Reduce, MPI_Allreduce, MPI_Scan: sections 6.9.1, 6.9.6, 6.11.1. With
 * [in_place] the values are taken from [data], and [sent] is not read.
 */
int bsync_comm_reduce(const void *sent, void *data, int64_t count, int type,
  int op, int root, int in_place, int comm);
int bsync_comm_allreduce(const void *sent, void *data, int64_t count, int type,
  int op, int in_place, int comm);
int bsync_comm_scan(const void *sent, void *data, int64_t count, int type,
  int op, int in_place, int comm);

/*
 * MPI_Gather, MPI_Scatter, MPI_Allgather, MPI_Alltoall: sections 6.5 to 6.8.
 * [count] is that of one rank's part.
 */
int bsync_comm_gather(const void *sent, void *data, int64_t count, int type,
  int root, int comm);
int bsync_comm_scatter(const void *sent, void *data, int64_t count, int type,
  int root, int comm);
int bsync_comm_allgather(const void *sent, void *data, int64_t count, int type,
  int comm);
int bsync_comm_alltoall(const void *sent, void *data, int64_t count, int type,
  int comm);

/*
 * The same with parts of different lengths: one count and one place, in
 * elements, for each rank, as doubles that are whole numbers. Both are read
 * where MPI reads them: on the root, or on all ranks.
 *
 * MPI is told counts and places in 32 bits. Beyond that they are taken as long
 * as all of them have a common divisor that makes up for it; else the answer
 * is -BSYNC_E_LARGE.
 */
int bsync_comm_gatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, int root, int comm);
int bsync_comm_scatterv(const void *sent, const double *counts,
  const double *places, void *data, int64_t count, int type, int root,
  int comm);
int bsync_comm_allgatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, int comm);
int bsync_comm_alltoallv(const void *sent, const double *sent_counts,
  const double *sent_places, void *data, const double *counts,
  const double *places, int type, int comm);

#endif
