/* Communicators: see bsync_comm.h, which is the manual. */
#include "bsync_comm.h"

#include "bsync_comm_table.h"
#include "bsync_receive.h"
#include "bsync_shape.h"
#include "bsync_state.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

/* ---- Beginning, settings, facts ----------------------------------------- */

int bsync_comm_start(void)
{
  MPI_Comm world;
  int code = MPI_Comm_dup(MPI_COMM_WORLD, &world);
  if (code != MPI_SUCCESS) return code;
  return bsync_number_for(world) == BSYNC_COMM_WORLD ? MPI_SUCCESS
                                                     : MPI_ERR_OTHER;
}

int bsync_comm_limit(int64_t bytes)
{
  if (bytes < 1) return -BSYNC_E_ARGUMENT;
  bsync_shape_limit(bytes);
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
  return bsync_is_open() ? MPI_Wtime() : bsync_not_open();
}

int bsync_comm_processor_name(char *text, int size)
{
  char name[MPI_MAX_PROCESSOR_NAME + 1] = "";
  int length = 0;
  if (!bsync_is_open()) return bsync_not_open();
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
  return bsync_number_for(made);
}

int bsync_comm_split(int comm, int color, int key)
{
  MPI_Comm made;
  FIND(on, comm);
  bsync_post();
  CHECK(MPI_Comm_split(on, color < 0 ? MPI_UNDEFINED : color, key, &made));
  return bsync_number_for(made);
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
  return bsync_number_for(made);
}

int bsync_comm_free(int comm)
{
  FIND(on, comm);
  if (comm == BSYNC_COMM_WORLD) return -MPI_ERR_COMM;
  bsync_post(); /* MPI keeps it until they are done */
  bsync_forget_comm(comm);
  CHECK(MPI_Comm_free(&on));
  return 0;
}
