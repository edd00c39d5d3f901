/* See bsync_shape.h, which is the manual. */
#include "bsync_shape.h"

#include "bsync_state.h"

#include <limits.h>

static int64_t limit_bytes; /* 0: none but that of an int */

void bsync_shape_limit(int64_t bytes)
{
  limit_bytes = bytes;
}

MPI_Datatype bsync_datatype(int type)
{
  switch (type) {
  case BSYNC_BYTE: return MPI_BYTE;
  case BSYNC_INT8: return MPI_INT8_T;
  case BSYNC_UINT8: return MPI_UINT8_T;
  case BSYNC_INT16: return MPI_INT16_T;
  case BSYNC_UINT16: return MPI_UINT16_T;
  case BSYNC_INT32: return MPI_INT32_T;
  case BSYNC_UINT32: return MPI_UINT32_T;
  case BSYNC_INT64: return MPI_INT64_T;
  case BSYNC_UINT64: return MPI_UINT64_T;
  case BSYNC_FLOAT: return MPI_FLOAT;
  case BSYNC_DOUBLE: return MPI_DOUBLE;
  default: return MPI_DATATYPE_NULL;
  }
}

const int bsync_widths[BSYNC_TYPES] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8};

int64_t bsync_block_of(int width)
{
  int64_t elements = limit_bytes == 0 ? INT_MAX : limit_bytes / width;
  if (elements < 1) return 1;
  return elements > INT_MAX ? INT_MAX : elements;
}

static int make_long(int64_t count, int width, MPI_Datatype element,
  MPI_Datatype *made)
{
  int64_t block = bsync_block_of(width), blocks = count / block;
  int64_t rest = count % block;
  MPI_Datatype types[2], whole;
  MPI_Aint places[2] = {0, (MPI_Aint)(blocks * block * width)};
  int lengths[2] = {1, (int)rest};
  int code;
  if (blocks > INT_MAX) return BSYNC_E_LARGE;
  code = MPI_Type_contiguous((int)block, element, &whole);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Type_contiguous((int)blocks, whole, &types[0]);
  MPI_Type_free(&whole);
  if (code != MPI_SUCCESS) return code;
  types[1] = element;
  code = MPI_Type_create_struct(2, lengths, places, types, &whole);
  MPI_Type_free(&types[0]);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Type_create_resized(whole, 0, (MPI_Aint)(count * width), made);
  MPI_Type_free(&whole);
  return code == MPI_SUCCESS ? MPI_Type_commit(made) : code;
}

int bsync_shape_of(int64_t count, int type, struct shape *shape)
{
  shape->made = 0;
  shape->type = bsync_datatype(type);
  if (shape->type == MPI_DATATYPE_NULL) return -MPI_ERR_TYPE;
  if (count < 0) return -MPI_ERR_COUNT;
  shape->units = (int)count;
  if (count <= INT_MAX && count <= bsync_block_of(bsync_widths[type])) return 0;
  CHECK(make_long(count, bsync_widths[type], shape->type, &shape->type));
  shape->units = 1;
  shape->made = 1;
  return 0;
}

void bsync_unshape(struct shape *shape)
{
  if (shape->made) MPI_Type_free(&shape->type);
  shape->made = 0;
}

int bsync_done(struct shape *shape, int code)
{
  bsync_unshape(shape);
  return code == MPI_SUCCESS ? 0 : bsync_refused(code);
}
