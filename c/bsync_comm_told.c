/* See bsync_comm_told.h, which is the manual. */
#include "bsync_comm_told.h"

#include "bsync_guard.h"
#include "bsync_shape.h"
#include "bsync_state.h"

#include <string.h>

#if BSYNC_GUARDS

void bsync_tell(struct told *told, const void *part, int64_t bytes,
  int64_t longest)
{
  memset(told, 0, sizeof *told);
  told->bytes = bytes;
  told->longest = longest;
  if (bytes > 0 && bytes <= FEW) memcpy(told->values, part, (size_t)bytes);
}

static int64_t lesser(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

void bsync_put(char *to, int64_t room, const char *from, int64_t bytes)
{
  const int64_t fits = lesser(room, bytes);
  if (fits > 0) memcpy(to, from, (size_t)fits);
}

int bsync_rooted(int root, MPI_Comm on, int *rank, int *size)
{
  CHECK(MPI_Comm_rank(on, rank));
  CHECK(MPI_Comm_size(on, size));
  return root < 0 || root >= *size ? -MPI_ERR_ROOT : 0;
}

int64_t bsync_bytes_of(int64_t count, int type)
{
  if (bsync_datatype(type) == MPI_DATATYPE_NULL) return -MPI_ERR_TYPE;
  return count < 0 ? -MPI_ERR_COUNT : count * bsync_widths[type];
}

#endif
