/* Collectives: see bsync_comm.h. */
#include "bsync_comm.h"
#include "bsync_guard.h"
#include "bsync_mpi.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

MPI_Op bsync_operation(int op)
{
  switch (op) {
  case BSYNC_SUM: return MPI_SUM;
  case BSYNC_PROD: return MPI_PROD;
  case BSYNC_MIN: return MPI_MIN;
  case BSYNC_MAX: return MPI_MAX;
  case BSYNC_LAND: return MPI_LAND;
  case BSYNC_LOR: return MPI_LOR;
  case BSYNC_BAND: return MPI_BAND;
  case BSYNC_BOR: return MPI_BOR;
  case BSYNC_BXOR: return MPI_BXOR;
  default: return MPI_OP_NULL;
  }
}

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

int bsync_plain_bcast(void *data, int64_t count, int type, int root, MPI_Comm
  on)
{
  struct shape part;
  int code;
  if (root < 0) return -MPI_ERR_ROOT;
  code = bsync_shape_of(count, type, &part);
  if (code < 0) return code;
  return bsync_done(&part, MPI_Bcast(data, part.units, part.type, root, on));
}

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
 * MPICH 4.0 crashes where a root other than 0 reduces more than 2 KiB in place:
 * there the root's values are sent from a copy.
 */
static int needs_copy(int kind, int in_place, int root)
{
  return kind == REDUCE && in_place && root > 0 &&
    bsync_mpi_family() == BSYNC_FAMILY_MPICH;
}

#if BSYNC_GUARDS

/*
 * As [bsync_agree_reduction]. What travels with its length is combined as
 * MPI_Allreduce does it, in whose order no other reduction has to go.
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

int bsync_plain_gather(const void *sent, void *data, int64_t count, int type,
  int root, MPI_Comm on)
{
  struct shape part;
  int code;
  if (root < 0) return -MPI_ERR_ROOT;
  code = bsync_shape_of(count, type, &part);
  if (code < 0) return code;
  return bsync_done(&part, MPI_Gather(sent, part.units, part.type, data,
    part.units, part.type, root, on));
}

int bsync_plain_scatter(const void *sent, void *data, int64_t count, int type,
  int root, MPI_Comm on)
{
  struct shape part;
  int code;
  if (root < 0) return -MPI_ERR_ROOT;
  code = bsync_shape_of(count, type, &part);
  if (code < 0) return code;
  return bsync_done(&part, MPI_Scatter(sent, part.units, part.type, data,
    part.units, part.type, root, on));
}

int bsync_plain_allgather(const void *sent, void *data, int64_t count, int type,
  MPI_Comm on)
{
  struct shape part;
  int code;
  code = bsync_shape_of(count, type, &part);
  if (code < 0) return code;
  return bsync_done(&part, MPI_Allgather(sent, part.units, part.type, data,
    part.units, part.type, on));
}

int bsync_plain_alltoall(const void *sent, void *data, int64_t count, int type,
  MPI_Comm on)
{
  struct shape part;
  int code;
  code = bsync_shape_of(count, type, &part);
  if (code < 0) return code;
  return bsync_done(&part, MPI_Alltoall(sent, part.units, part.type, data,
    part.units, part.type, on));
}

/* ---- Parts of different lengths ----------------------------------------- */

static const struct parts no_parts = {MPI_DATATYPE_NULL, 0, NULL, NULL};

/* Is this rank the root, who alone reads counts and places? Else an error. */
static int at_root(int root, MPI_Comm on, int *yes, int *size)
{
  int rank;
  if (root < 0) return -MPI_ERR_ROOT;
  CHECK(MPI_Comm_rank(on, &rank));
  CHECK(MPI_Comm_size(on, size));
  *yes = rank == root;
  return 0;
}

int bsync_plain_gatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, int root, MPI_Comm on)
{
  struct parts all = no_parts;
  struct shape own;
  int yes, size, code;
  code = at_root(root, on, &yes, &size);
  if (code < 0) return code;
  code = bsync_shape_of(count, type, &own);
  if (code < 0) return code;
  if (yes) code = bsync_parts_of(size, counts, places, type, &all);
  if (code < 0) {
    bsync_unshape(&own);
    return code;
  }
  code = MPI_Gatherv(sent, own.units, own.type, data, all.counts, all.places,
    yes ? all.type : own.type, root, on);
  bsync_free_parts(&all);
  return bsync_done(&own, code);
}

int bsync_plain_scatterv(const void *sent, const double *counts,
  const double *places, void *data, int64_t count, int type, int root,
  MPI_Comm on)
{
  struct parts all = no_parts;
  struct shape own;
  int yes, size, code;
  code = at_root(root, on, &yes, &size);
  if (code < 0) return code;
  code = bsync_shape_of(count, type, &own);
  if (code < 0) return code;
  if (yes) code = bsync_parts_of(size, counts, places, type, &all);
  if (code < 0) {
    bsync_unshape(&own);
    return code;
  }
  code = MPI_Scatterv(sent, all.counts, all.places, yes ? all.type : own.type,
    data, own.units, own.type, root, on);
  bsync_free_parts(&all);
  return bsync_done(&own, code);
}

int bsync_plain_allgatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, MPI_Comm on)
{
  struct parts all = no_parts;
  int rank, size, code;
  CHECK(MPI_Comm_rank(on, &rank));
  CHECK(MPI_Comm_size(on, &size));
  code = bsync_parts_of(size, counts, places, type, &all);
  if (code < 0) return code;
  /* Sent as it is received: Open MPI chooses the way by the type that is sent,
   * and all ranks have to choose the same. */
  if ((double)count != counts[rank]) code = MPI_ERR_COUNT;
  else code = MPI_Allgatherv(sent, all.counts[rank], all.type, data, all.counts,
    all.places, all.type, on);
  bsync_free_parts(&all);
  return code == MPI_SUCCESS ? 0 : bsync_refused(code);
}

int bsync_plain_alltoallv(const void *sent, const double *sent_counts,
  const double *sent_places, void *data, const double *counts,
  const double *places, int type, MPI_Comm on)
{
  struct parts out = no_parts, in = no_parts;
  int size, code;
  CHECK(MPI_Comm_size(on, &size));
  code = bsync_parts_of(size, sent_counts, sent_places, type, &out);
  if (code < 0) return code;
  code = bsync_parts_of(size, counts, places, type, &in);
  if (code == 0)
    code = MPI_Alltoallv(sent, out.counts, out.places, out.type, data,
      in.counts, in.places, in.type, on);
  else code = -code;
  bsync_free_parts(&out);
  bsync_free_parts(&in);
  return code == MPI_SUCCESS ? 0 : bsync_refused(code);
}

/* ---- With the guard ----------------------------------------------------- */

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
