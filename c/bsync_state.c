/* See bsync_state.h, which is the manual. */
#include "bsync_state.h"

struct bsync_state bsync_state = {
  .comm = MPI_COMM_NULL, .programs = MPI_COMM_NULL};

int bsync_all_programs(MPI_Comm on)
{
  MPI_Group members, some;
  int i, size, rank, all = 1;
  MPI_Comm_size(bsync_state.programs, &size);
  if (size == bsync_state.size) return 1;
  if (MPI_Comm_group(on, &members) != MPI_SUCCESS) return 0;
  MPI_Comm_group(bsync_state.programs, &some);
  MPI_Group_size(members, &size);
  for (i = 0; i < size && all; i++) {
    MPI_Group_translate_ranks(members, 1, &i, some, &rank);
    all = rank != MPI_UNDEFINED;
  }
  MPI_Group_free(&some);
  MPI_Group_free(&members);
  return all;
}
