/* See bsync_comm_parts.h, which is the manual. */
#include "bsync_comm_parts.h"

#include "bsync_shape.h"
#include "bsync_state.h"

#include <limits.h>
#include <stdlib.h>

static int64_t common_divisor(int64_t a, int64_t b)
{
  while (b != 0) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

void bsync_free_parts(struct parts *parts)
{
  free(parts->counts);
  if (parts->made) MPI_Type_free(&parts->type);
  parts->counts = NULL;
  parts->made = 0;
}

/* The divisor to count by: 1, where the numbers are small as they are. */
static int64_t unit_of(int size, const double *counts, const double *places,
  int64_t limit)
{
  int64_t unit = 0, most = 0;
  int i;
  for (i = 0; i < size; i++) {
    int64_t count = (int64_t)counts[i], place = (int64_t)places[i];
    if (count > most) most = count;
    if (place > most) most = place;
    unit = common_divisor(common_divisor(unit, count), place);
  }
  return most <= limit || unit == 0 ? 1 : unit;
}

int bsync_parts_of(int size, const double *counts, const double *places,
  int type, struct parts *parts)
{
  int64_t unit;
  struct shape whole;
  int i, code;
  parts->made = 0;
  parts->counts = NULL;
  parts->type = bsync_datatype(type);
  if (parts->type == MPI_DATATYPE_NULL) return -MPI_ERR_TYPE;
  for (i = 0; i < size; i++)
    if (counts[i] < 0 || places[i] < 0) return -MPI_ERR_COUNT;
  unit = unit_of(size, counts, places, bsync_block_of(bsync_widths[type]));
  for (i = 0; i < size; i++)
    if (counts[i] / (double)unit > INT_MAX ||
        places[i] / (double)unit > INT_MAX)
      return -BSYNC_E_LARGE;
  if (unit > 1) {
    code = bsync_shape_of(unit, type, &whole);
    if (code < 0) return code;
    if (whole.made) parts->type = whole.type;
    else {
      CHECK(MPI_Type_contiguous(whole.units, whole.type, &parts->type));
      CHECK(MPI_Type_commit(&parts->type));
    }
    parts->made = 1;
  }
  parts->counts = malloc((size_t)size * 2 * sizeof *parts->counts);
  if (parts->counts == NULL) {
    bsync_free_parts(parts);
    return -BSYNC_E_MEMORY;
  }
  parts->places = parts->counts + size;
  for (i = 0; i < size; i++) {
    parts->counts[i] = (int)((int64_t)counts[i] / unit);
    parts->places[i] = (int)((int64_t)places[i] / unit);
  }
  return 0;
}
