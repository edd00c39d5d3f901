/*
 * Collectives, and their choice between bsync_comm_agree.h, where it is needed,
 * and bsync_comm_plain.h. See bsync_comm.h, which is the manual.
 */
#include "bsync_comm.h"

#include "bsync_comm_agree.h"
#include "bsync_comm_plain.h"
#include "bsync_comm_table.h"
#include "bsync_receive.h"
#include "bsync_shape.h"
#include "bsync_state.h"

#include <stdlib.h>
#include <string.h>

/* Declares [mpi_comm], on which the caller is about to block. */
#define TOGETHER(mpi_comm, number)                                             \
  FIND(mpi_comm, number);                                                      \
  bsync_post()

int bsync_comm_barrier(int comm)
{
  TOGETHER(on, comm);
  CHECK(MPI_Barrier(on));
  return 0;
}

/* ---- Parts -------------------------------------------------------------- */

#if BSYNC_GUARDS
#define TOLD(comm, name, ...)                                                  \
  (bsync_agrees(comm) ? bsync_agreed_##name(__VA_ARGS__)                       \
                      : bsync_plain_##name(__VA_ARGS__))
#else
#define TOLD(comm, name, ...) bsync_plain_##name(__VA_ARGS__)
#endif

int bsync_comm_bcast(void *data, int64_t count, int type, int root, int comm)
{
  TOGETHER(on, comm);
  return TOLD(comm, bcast, data, count, type, root, on);
}

int bsync_comm_gather(const void *sent, void *data, int64_t count, int type, int
  root, int comm)
{
  TOGETHER(on, comm);
  return TOLD(comm, gather, sent, data, count, type, root, on);
}

int bsync_comm_scatter(const void *sent, void *data, int64_t count, int type,
  int root, int comm)
{
  TOGETHER(on, comm);
  return TOLD(comm, scatter, sent, data, count, type, root, on);
}

int bsync_comm_allgather(const void *sent, void *data, int64_t count, int type,
  int comm)
{
  TOGETHER(on, comm);
  return TOLD(comm, allgather, sent, data, count, type, on);
}

int bsync_comm_alltoall(const void *sent, void *data, int64_t count, int type,
  int comm)
{
  TOGETHER(on, comm);
  return TOLD(comm, alltoall, sent, data, count, type, on);
}

int bsync_comm_gatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, int root, int comm)
{
  TOGETHER(on, comm);
  return TOLD(comm, gatherv, sent, count, data, counts, places, type, root, on);
}

int bsync_comm_scatterv(const void *sent, const double *counts,
  const double *places, void *data, int64_t count, int type, int root, int comm)
{
  TOGETHER(on, comm);
  return TOLD(comm, scatterv, sent, counts, places, data, count, type, root,
    on);
}

int bsync_comm_allgatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, int comm)
{
  TOGETHER(on, comm);
  return TOLD(comm, allgatherv, sent, count, data, counts, places, type, on);
}

int bsync_comm_alltoallv(const void *sent, const double *sent_counts,
  const double *sent_places, void *data, const double *counts,
  const double *places, int type, int comm)
{
  TOGETHER(on, comm);
  return TOLD(comm, alltoallv, sent, sent_counts, sent_places, data, counts,
    places, type, on);
}

/* ---- Reductions --------------------------------------------------------- */

#define REDUCE 0
#define ALLREDUCE 1
#define SCAN 2

static int reduce_block(int kind, const void *sent, void *data, int count,
  MPI_Datatype type, MPI_Op op, int root, MPI_Comm on)
{
  switch (kind) {
  case REDUCE: return MPI_Reduce(sent, data, count, type, op, root, on);
  case ALLREDUCE: return MPI_Allreduce(sent, data, count, type, op, on);
  default: return MPI_Scan(sent, data, count, type, op, on);
  }
}

/*
 * MPICH 4.0 crashes where a root other than 0 reduces more than 2 KiB in place.
 * Hence the root's values are sent from a copy there.
 */
static int needs_copy(int kind, int in_place, int root)
{
  return kind == REDUCE && in_place && root > 0 &&
    BSYNC_FAMILY == BSYNC_FAMILY_MPICH;
}

#if BSYNC_GUARDS

/*
 * As [bsync_agree_reduction]. Values that travel with their length are combined
 * in the order of MPI_Allreduce: other reductions have orders of their own, and
 * so their values do not travel.
 */
static int agree(int kind, const void *sent, void *data, int64_t count,
  int type, int op, int root, MPI_Comm on)
{
  int size;
  CHECK(MPI_Comm_size(on, &size));
  if (root >= size) return -MPI_ERR_ROOT;
  if (kind != ALLREDUCE) sent = NULL;
  return bsync_agree_reduction(sent, data, count, type, op, on);
}

#endif

static int reduce(int kind, const void *sent, void *data, int64_t count,
  int type, int op, int root, int in_place, int comm)
{
  MPI_Datatype element = bsync_datatype(type);
  MPI_Op operator = bsync_operation(op);
  int64_t at = 0, block;
  void *copy = NULL;
  int width, code = MPI_SUCCESS;
  TOGETHER(on, comm);
  if (root < 0) return -MPI_ERR_ROOT;
  if (element == MPI_DATATYPE_NULL) return -MPI_ERR_TYPE;
  if (operator == MPI_OP_NULL) return -MPI_ERR_OP;
  /* The standard's word (6.9.2). MPICH may end the process over it. */
  if (type >= BSYNC_FLOAT && op >= BSYNC_LAND) return -MPI_ERR_OP;
  if (count < 0) return -MPI_ERR_COUNT;
#if BSYNC_GUARDS
  if (bsync_agrees(comm)) {
    code = agree(kind, in_place ? data : sent, data, count, type, op, root, on);
    if (code != 0) return code < 0 ? code : 0;
  }
#endif
  width = bsync_widths[type];
  block = bsync_block_of(width);
  if (needs_copy(kind, in_place, root)) {
    copy = malloc((size_t)((count < block ? count : block) * width) + 1);
    if (copy == NULL) return -BSYNC_E_MEMORY;
  }
  do {
    char *into = (char *)data + at * width;
    const void *from = (const char *)sent + at * width;
    int now = (int)(count - at < block ? count - at : block);
    if (copy != NULL) from = memcpy(copy, into, (size_t)(now * width));
    else if (in_place) from = MPI_IN_PLACE;
    code = reduce_block(kind, from, into, now, element, operator, root, on);
    at += now;
  } while (code == MPI_SUCCESS && at < count);
  free(copy);
  return code == MPI_SUCCESS ? 0 : bsync_refused(code);
}

int bsync_comm_reduce(const void *sent, void *data, int64_t count, int type,
  int op, int root, int in_place, int comm)
{
  return reduce(REDUCE, sent, data, count, type, op, root, in_place, comm);
}

int bsync_comm_allreduce(const void *sent, void *data, int64_t count, int type,
  int op, int in_place, int comm)
{
  return reduce(ALLREDUCE, sent, data, count, type, op, 0, in_place, comm);
}

int bsync_comm_scan(const void *sent, void *data, int64_t count, int type,
  int op, int in_place, int comm)
{
  return reduce(SCAN, sent, data, count, type, op, 0, in_place, comm);
}
