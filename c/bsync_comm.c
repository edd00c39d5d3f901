/* See bsync_comm.h, which is the manual. */
#include "bsync_comm.h"
#include "bsync_guard.h"
#include "bsync_mpi.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

int bsync_refused(int code)
{
  return code > 0 ? -code : -MPI_ERR_OTHER;
}

/* ---- Numbers for handles ------------------------------------------------ */

struct open_comm {
  MPI_Comm comm; /* null: the number is free */
  int agrees;    /* see [bsync_agrees]; UNKNOWN until it is asked */
};

#define UNKNOWN (-1)

static struct open_comm *comms;
static int comm_count;
static int64_t limit_bytes; /* 0: none but that of an int */

MPI_Comm bsync_find_comm(int comm, int *answer)
{
  *answer = bsync_mpi_running();
  if (*answer < 0) return MPI_COMM_NULL;
  if (comm < 1 || comm > comm_count || comms[comm - 1].comm == MPI_COMM_NULL)
    *answer = -MPI_ERR_COMM;
  return *answer < 0 ? MPI_COMM_NULL : comms[comm - 1].comm;
}

static int number_for(MPI_Comm made)
{
  struct open_comm *grown, entry = {made, UNKNOWN};
  int i;
  if (made == MPI_COMM_NULL) return 0;
  MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN);
  for (i = 0; i < comm_count; i++) {
    if (comms[i].comm != MPI_COMM_NULL) continue;
    comms[i] = entry;
    return i + 1;
  }
  grown = realloc(comms, (size_t)(comm_count + 1) * sizeof *grown);
  if (grown == NULL) {
    MPI_Comm_free(&made);
    return -BSYNC_E_MEMORY;
  }
  comms = grown;
  comms[comm_count] = entry;
  return ++comm_count;
}

int bsync_agrees(int comm)
{
  struct open_comm *it = &comms[comm - 1];
  if (it->agrees == UNKNOWN) it->agrees = bsync_all_programs(it->comm);
  return it->agrees;
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

/* ---- Long arrays -------------------------------------------------------- */

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

/* ---- Beginning, end, facts ---------------------------------------------- */

int bsync_comm_start(void)
{
  MPI_Comm world;
  int code = MPI_Comm_dup(MPI_COMM_WORLD, &world);
  if (code != MPI_SUCCESS) return code;
  return number_for(world) == BSYNC_COMM_WORLD ? MPI_SUCCESS : MPI_ERR_OTHER;
}

int bsync_comm_limit(int64_t bytes)
{
  if (bytes < 1) return -BSYNC_E_ARGUMENT;
  limit_bytes = bytes;
  return 0;
}

int bsync_comm_rank(int comm)
{
  int rank;
  FIND(on, comm);
  CHECK(MPI_Comm_rank(on, &rank));
  return rank;
}

int bsync_comm_size(int comm)
{
  int size;
  FIND(on, comm);
  CHECK(MPI_Comm_size(on, &size));
  return size;
}

int bsync_comm_members(int comm, int32_t *ranks, int count)
{
  MPI_Group members, all;
  int i, size, code, *own;
  FIND(on, comm);
  CHECK(MPI_Comm_size(on, &size));
  if (count < size) return -BSYNC_E_ARGUMENT;
  own = malloc((size_t)size * sizeof *own);
  if (own == NULL) return -BSYNC_E_MEMORY;
  for (i = 0; i < size; i++) own[i] = i;
  code = MPI_Comm_group(on, &members);
  if (code == MPI_SUCCESS) {
    code = MPI_Comm_group(MPI_COMM_WORLD, &all);
    if (code == MPI_SUCCESS) {
      code = MPI_Group_translate_ranks(members, size, own, all, ranks);
      MPI_Group_free(&all);
    }
    MPI_Group_free(&members);
  }
  free(own);
  return code == MPI_SUCCESS ? 0 : bsync_refused(code);
}

double bsync_comm_wtime(void)
{
  int running = bsync_mpi_running();
  return running < 0 ? running : MPI_Wtime();
}

int bsync_comm_processor_name(char *text, int size)
{
  char name[MPI_MAX_PROCESSOR_NAME + 1] = "";
  int length = 0, running = bsync_mpi_running();
  if (running < 0) return running;
  if (size <= 0) return -BSYNC_E_ARGUMENT;
  CHECK(MPI_Get_processor_name(name, &length));
  if (length > size - 1) length = size - 1;
  memcpy(text, name, (size_t)length);
  text[length] = '\0';
  return length;
}

int bsync_comm_error(int which)
{
  static const int classes[] = {MPI_ERR_BUFFER, MPI_ERR_COUNT, MPI_ERR_TYPE,
    MPI_ERR_TAG, MPI_ERR_COMM, MPI_ERR_RANK, MPI_ERR_ROOT, MPI_ERR_GROUP,
    MPI_ERR_OP, MPI_ERR_ARG, MPI_ERR_REQUEST};
  int count = (int)(sizeof classes / sizeof *classes);
  return which < 0 || which >= count ? 0 : classes[which];
}

/* ---- Communicators ------------------------------------------------------ */

int bsync_comm_dup(int comm)
{
  MPI_Comm made;
  FIND(on, comm);
  bsync_post();
  CHECK(MPI_Comm_dup(on, &made));
  return number_for(made);
}

int bsync_comm_split(int comm, int color, int key)
{
  MPI_Comm made;
  FIND(on, comm);
  bsync_post();
  CHECK(MPI_Comm_split(on, color < 0 ? MPI_UNDEFINED : color, key, &made));
  return number_for(made);
}

int bsync_comm_group(int comm, const int32_t *ranks, int count, int tag)
{
  MPI_Group all, some;
  MPI_Comm made;
  int code;
  FIND(on, comm);
  bsync_post();
  if (count < 1) return -MPI_ERR_GROUP;
  CHECK(MPI_Comm_group(on, &all));
  code = MPI_Group_incl(all, count, ranks, &some);
  MPI_Group_free(&all);
  if (code != MPI_SUCCESS) return bsync_refused(code);
  code = MPI_Comm_create_group(on, some, tag, &made);
  MPI_Group_free(&some);
  if (code != MPI_SUCCESS) return bsync_refused(code);
  return number_for(made);
}

int bsync_comm_free(int comm)
{
  FIND(on, comm);
  if (comm == BSYNC_COMM_WORLD) return -MPI_ERR_COMM;
  bsync_post(); /* MPI keeps it until they are done */
  comms[comm - 1].comm = MPI_COMM_NULL;
  CHECK(MPI_Comm_free(&on));
  return 0;
}
