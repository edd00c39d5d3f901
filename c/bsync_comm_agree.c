/*
 * Collectives in which each rank receives one part, and reductions, whose ranks
 * tell each other their lengths first: see bsync_comm_agree.h, which is the
 * manual. A part of a FEW bytes travels in the same message as its length.
 */
#include "bsync_comm_agree.h"

#include "bsync_comm_plain.h"
#include "bsync_comm_told.h"
#include "bsync_shape.h"
#include "bsync_state.h"

#include <stdlib.h>
#include <string.h>

#if BSYNC_GUARDS

/* ---- One part ----------------------------------------------------------- */

/*
 * Where a part is received: the array itself, told to MPI as long as the part
 * is, or, where the array is too short, memory in its place.
 */
struct place {
  char *at;
  char *made;
  int64_t count;
  int type;
};

static int place_for(struct place *place, void *data, int64_t room,
  int64_t bytes, int type)
{
  const int width = bsync_widths[type];
  place->made = NULL;
  place->at = data;
  if (bytes > room) {
    place->at = place->made = malloc((size_t)bytes);
    if (place->made == NULL) return -BSYNC_E_MEMORY;
  }
  place->type = bytes % width == 0 ? type : BSYNC_BYTE;
  place->count = bytes / bsync_widths[place->type];
  return 0;
}

/*
 * Moves the part from its place to the array. Returns the answer, which is
 * [code] where the part has not come.
 */
static int leave_place(struct place *place, void *data, int64_t room, int code)
{
  if (place->made == NULL) return code;
  if (code == 0) {
    bsync_put(data, room, place->made, room);
    code = -MPI_ERR_TRUNCATE;
  }
  free(place->made);
  return code;
}

int bsync_agreed_bcast(void *data, int64_t count, int type, int root,
  MPI_Comm on)
{
  const int64_t room = bsync_bytes_of(count, type);
  struct told told;
  struct place place;
  int rank, size, code;
  if (room < 0) return (int)room;
  code = bsync_rooted(root, on, &rank, &size);
  if (code < 0) return code;
  if (rank == root) bsync_tell(&told, data, room, room);
  CHECK(MPI_Bcast(&told, sizeof told, MPI_BYTE, root, on));
  if (told.bytes <= FEW) {
    if (rank != root) bsync_put(data, room, told.values, told.bytes);
    return told.bytes > room ? -MPI_ERR_TRUNCATE : 0;
  }
  code = place_for(&place, data, room, told.bytes, type);
  if (code < 0) return code;
  code = bsync_plain_bcast(place.at, place.count, place.type, root, on);
  return leave_place(&place, data, room, code);
}

/* Tells the root's part for each rank: of [count] elements without [counts]. */
static struct told *tell_each(const char *sent, int size, const double *counts,
  const double *places, int64_t count, int width)
{
  struct told *told = malloc((size_t)size * sizeof *told);
  int64_t longest = counts == NULL ? count : 0;
  int i;
  if (told == NULL) return NULL;
  for (i = 0; counts != NULL && i < size; i++)
    if (counts[i] > (double)longest) longest = (int64_t)counts[i];
  for (i = 0; i < size; i++) {
    const int64_t at = places == NULL ? i * count : (int64_t)places[i];
    bsync_tell(&told[i], sent + at * width,
      (counts == NULL ? count : (int64_t)counts[i]) * width, longest * width);
  }
  return told;
}

/* MPI_Scatterv, or, where parts are [equal], MPI_Scatter. */
static int scatter_parts(int equal, const void *sent, const double *counts,
  const double *places, void *data, int64_t count, int type, int root,
  MPI_Comm on)
{
  const int64_t room = bsync_bytes_of(count, type);
  struct told own, *each = NULL;
  struct place place;
  int rank, size, code;
  if (room < 0) return (int)room;
  code = bsync_rooted(root, on, &rank, &size);
  if (code < 0) return code;
  if (rank == root) {
    each = tell_each(sent, size, counts, places, count, bsync_widths[type]);
    if (each == NULL) return -BSYNC_E_MEMORY;
  }
  code = MPI_Scatter(each, sizeof own, MPI_BYTE, &own, sizeof own, MPI_BYTE,
    root, on);
  free(each);
  if (code != MPI_SUCCESS) return bsync_refused(code);
  if (own.longest <= FEW) {
    bsync_put(data, room, own.values, own.bytes);
    return own.bytes > room ? -MPI_ERR_TRUNCATE : 0;
  }
  code = place_for(&place, data, room, own.bytes, type);
  if (code < 0) return code;
  code = equal
    ? bsync_plain_scatter(sent, place.at, place.count, place.type, root, on)
    : bsync_plain_scatterv(sent, counts, places, place.at, place.count,
        place.type, root, on);
  return leave_place(&place, data, room, code);
}

int bsync_agreed_scatter(const void *sent, void *data, int64_t count, int type,
  int root, MPI_Comm on)
{
  return scatter_parts(1, sent, NULL, NULL, data, count, type, root, on);
}

int bsync_agreed_scatterv(const void *sent, const double *counts,
  const double *places, void *data, int64_t count, int type, int root,
  MPI_Comm on)
{
  return scatter_parts(0, sent, counts, places, data, count, type, root, on);
}

/* ---- Reductions --------------------------------------------------------- */

/* Bytes of values that are reduced together with their length. */
#define SOME 104
#define NOTHING (-1)

/* The shortest and the longest array; the result, where they are the same. */
struct sum {
  int64_t least, most;
  int32_t type, op; /* or NOTHING, where there are no values */
  char values[SOME];
};

static MPI_Datatype sum_type = MPI_DATATYPE_NULL;
static MPI_Op sum_op = MPI_OP_NULL;

static void add_sums(void *from, void *to, int *count, MPI_Datatype *type)
{
  const struct sum *one = from;
  struct sum *other = to;
  int i;
  (void)type;
  for (i = 0; i < *count; i++, one++, other++) {
    if (other->least > one->least) other->least = one->least;
    if (other->most < one->most) other->most = one->most;
    if (other->least != other->most || other->op == NOTHING) continue;
    MPI_Reduce_local(one->values, other->values,
      (int)(other->most / bsync_widths[other->type]),
      bsync_datatype(other->type), bsync_operation(other->op));
  }
}

static int make_sums(void)
{
  int code;
  if (sum_op != MPI_OP_NULL) return MPI_SUCCESS;
  code = MPI_Type_contiguous(sizeof(struct sum), MPI_BYTE, &sum_type);
  if (code == MPI_SUCCESS) code = MPI_Type_commit(&sum_type);
  return code == MPI_SUCCESS ? MPI_Op_create(add_sums, 1, &sum_op) : code;
}

int bsync_agree_reduction(const void *sent, void *data, int64_t count,
  int type, int op, MPI_Comm on)
{
  const int64_t own = bsync_bytes_of(count, type);
  struct sum mine, all;
  if (own < 0) return (int)own;
  CHECK(make_sums());
  memset(&mine, 0, sizeof mine);
  mine.least = mine.most = own;
  mine.type = type;
  mine.op = sent == NULL || own > SOME ? NOTHING : op;
  if (mine.op != NOTHING && own > 0) memcpy(mine.values, sent, (size_t)own);
  CHECK(MPI_Allreduce(&mine, &all, 1, sum_type, sum_op, on));
  if (all.least != all.most)
    return own < all.most ? -MPI_ERR_TRUNCATE : -MPI_ERR_COUNT;
  if (mine.op == NOTHING) return 0;
  if (own > 0) memcpy(data, all.values, (size_t)own);
  return 1;
}

#endif
