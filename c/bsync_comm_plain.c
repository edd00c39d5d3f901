/* See bsync_comm_plain.h, which is the manual. */
#include "bsync_comm_plain.h"

#include "bsync_comm_parts.h"
#include "bsync_shape.h"
#include "bsync_state.h"

#include <stddef.h>

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

/* ---- Parts of one length ------------------------------------------------ */

int bsync_plain_bcast(void *data, int64_t count, int type, int root,
  MPI_Comm on)
{
  struct shape part;
  int code;
  if (root < 0) return -MPI_ERR_ROOT;
  code = bsync_shape_of(count, type, &part);
  if (code < 0) return code;
  return bsync_done(&part, MPI_Bcast(data, part.units, part.type, root, on));
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
