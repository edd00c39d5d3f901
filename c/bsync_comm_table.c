/* See bsync_comm_table.h, which is the manual. */
#include "bsync_comm_table.h"

#include "bsync_state.h"

#include <stdlib.h>

struct open_comm {
  MPI_Comm comm; /* null: the number is free */
  int agrees;    /* see [bsync_agrees]; UNKNOWN until it is asked */
};

#define UNKNOWN (-1)

static struct open_comm *comms;
static int comm_count;

MPI_Comm bsync_find_comm(int comm, int *answer)
{
  *answer = bsync_is_open() ? 0 : bsync_not_open();
  if (*answer < 0) return MPI_COMM_NULL;
  if (comm < 1 || comm > comm_count || comms[comm - 1].comm == MPI_COMM_NULL)
    *answer = -MPI_ERR_COMM;
  return *answer < 0 ? MPI_COMM_NULL : comms[comm - 1].comm;
}

int bsync_number_for(MPI_Comm made)
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

void bsync_forget_comm(int comm)
{
  comms[comm - 1].comm = MPI_COMM_NULL;
}

int bsync_agrees(int comm)
{
  struct open_comm *it = &comms[comm - 1];
  if (it->agrees == UNKNOWN) it->agrees = bsync_all_programs(it->comm);
  return it->agrees;
}
