/*
 * Collectives in which parts of several ranks come to one, whose lengths are
 * told before: see bsync_guard.h.
 */
#include "bsync_comm_agree.h"

#include "bsync_comm_plain.h"
#include "bsync_comm_told.h"
#include "bsync_shape.h"
#include "bsync_state.h"

#include <stdlib.h>

#if BSYNC_GUARDS

/* What comes from each rank, in bytes and in elements, and where it goes. */
struct arrival {
  int size;
  double *rooms;  /* bytes */
  double *homes;  /* elements from the beginning of the array */
  double *bytes;  /* that come */
  double *counts; /* the same as elements of [type] */
  double *starts; /* of them, from [at] on */
  char *at, *made;
  int type, asked;
};

/* Rooms of so many elements, or of [count] each, one behind the other. */
static int expect(struct arrival *all, int size, const double *counts,
  const double *places, int64_t count, int type)
{
  int i;
  all->size = size;
  all->asked = type;
  all->made = NULL;
  all->rooms = malloc((size_t)size * 5 * sizeof *all->rooms);
  if (all->rooms == NULL) return -BSYNC_E_MEMORY;
  all->homes = all->rooms + size;
  all->bytes = all->homes + size;
  all->counts = all->bytes + size;
  all->starts = all->counts + size;
  for (i = 0; i < size; i++) {
    all->rooms[i] = (counts == NULL ? (double)count : counts[i]) *
      bsync_widths[type];
    all->homes[i] = places == NULL ? (double)i * (double)count : places[i];
  }
  return 0;
}

/* Where it is received, now that [bytes] is known: in [data], if all fits. */
static int make_room(struct arrival *all, void *data)
{
  const int width = bsync_widths[all->asked];
  double total = 0;
  int i, fits = 1;
  all->type = all->asked;
  for (i = 0; i < all->size; i++) {
    if (all->bytes[i] > all->rooms[i]) fits = 0;
    if ((int64_t)all->bytes[i] % width != 0) all->type = BSYNC_BYTE;
  }
  if (all->type != all->asked) fits = 0; /* places are of elements */
  for (i = 0; i < all->size; i++) {
    const int unit = bsync_widths[all->type];
    all->counts[i] = all->bytes[i] / unit;
    all->starts[i] = fits ? all->homes[i] : total / unit;
    total += all->bytes[i];
  }
  all->at = data;
  if (fits) return 0;
  all->at = all->made = malloc((size_t)total + 1);
  return all->made == NULL ? -BSYNC_E_MEMORY : 0;
}

/* Puts part [i], that is at [from], where it belongs. */
static void take_home(struct arrival *all, void *data, int i, const char *from)
{
  bsync_put((char *)data + (int64_t)all->homes[i] * bsync_widths[all->asked],
    (int64_t)all->rooms[i], from, (int64_t)all->bytes[i]);
}

/* The answer, when all has come or [code] says why not. Frees. */
static int conclude(struct arrival *all, void *data, int code)
{
  int i;
  for (i = 0; i < all->size && code == 0; i++)
    if (all->bytes[i] > all->rooms[i]) code = -MPI_ERR_TRUNCATE;
  if (all->made != NULL && (code == 0 || code == -MPI_ERR_TRUNCATE))
    for (i = 0; i < all->size; i++)
      take_home(all, data, i,
        all->made + (int64_t)all->starts[i] * bsync_widths[all->type]);
  free(all->made);
  free(all->rooms);
  return code;
}

/* How many elements of the type that is received are [count] elements. */
static int64_t recounted(const struct arrival *all, int64_t count)
{
  return count * bsync_widths[all->asked] / bsync_widths[all->type];
}

int bsync_agreed_gatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, int root, MPI_Comm on)
{
  const int64_t own = bsync_bytes_of(count, type);
  const double told = (double)own;
  struct arrival all;
  int rank, size, code;
  if (own < 0) return (int)own;
  code = bsync_rooted(root, on, &rank, &size);
  if (code < 0) return code;
  if (rank != root) {
    CHECK(MPI_Gather(&told, 1, MPI_DOUBLE, NULL, 1, MPI_DOUBLE, root, on));
    return bsync_plain_gatherv(sent, count, data, counts, places, type, root,
      on);
  }
  code = expect(&all, size, counts, places, count, type);
  if (code < 0) return code;
  code = MPI_Gather(&told, 1, MPI_DOUBLE, all.bytes, 1, MPI_DOUBLE, root, on);
  code = code == MPI_SUCCESS ? make_room(&all, data) : bsync_refused(code);
  if (code == 0)
    code = bsync_plain_gatherv(sent, recounted(&all, count), all.at,
      all.counts, all.starts, all.type, root, on);
  return conclude(&all, data, code);
}

int bsync_agreed_gather(const void *sent, void *data, int64_t count, int type,
  int root, MPI_Comm on)
{
  const int64_t own = bsync_bytes_of(count, type);
  int64_t lengths[2], most[2];
  int rank, size, code;
  if (own < 0) return (int)own;
  code = bsync_rooted(root, on, &rank, &size);
  if (code < 0) return code;
  lengths[0] = own;
  lengths[1] = -own;
  CHECK(MPI_Allreduce(lengths, most, 2, MPI_INT64_T, MPI_MAX, on));
  if (most[0] == -most[1])
    return bsync_plain_gather(sent, data, count, type, root, on);
  return bsync_agreed_gatherv(sent, count, data, NULL, NULL, type, root, on);
}

/* Takes the lengths out of [told]; all are FEW, where the answer is 1. */
static int hear(struct arrival *all, const struct told *told)
{
  int i, few = 1;
  for (i = 0; i < all->size; i++) {
    all->bytes[i] = (double)told[i].bytes;
    if (told[i].bytes > FEW) few = 0;
  }
  return few;
}

static int are_equal(const struct arrival *all)
{
  int i;
  for (i = 1; i < all->size; i++)
    if (all->bytes[i] != all->bytes[0]) return 0;
  return 1;
}

/* The end of a collective whose parts have all come with their lengths. */
static int take_few(struct arrival *all, void *data, const struct told *told)
{
  int i;
  for (i = 0; i < all->size; i++) take_home(all, data, i, told[i].values);
  return 1;
}

/* Expects, and has what all tell all. Returns 1 if that was it, or an error. */
static int tell_all(struct arrival *all, const void *sent, int64_t count,
  void *data, const double *counts, const double *places, int type,
  MPI_Comm on)
{
  const int64_t own = bsync_bytes_of(count, type);
  struct told mine, *told;
  int size, code;
  if (own < 0) return (int)own;
  CHECK(MPI_Comm_size(on, &size));
  told = malloc((size_t)size * sizeof *told);
  if (told == NULL) return -BSYNC_E_MEMORY;
  code = expect(all, size, counts, places, count, type);
  if (code == 0) {
    bsync_tell(&mine, sent, own, own);
    code = MPI_Allgather(&mine, sizeof mine, MPI_BYTE, told, sizeof mine,
      MPI_BYTE, on);
    if (code != MPI_SUCCESS) {
      code = bsync_refused(code);
      free(all->rooms);
    } else if (hear(all, told)) code = take_few(all, data, told);
  }
  free(told);
  return code;
}

int bsync_agreed_allgather(const void *sent, void *data, int64_t count,
  int type, MPI_Comm on)
{
  struct arrival all;
  int code = tell_all(&all, sent, count, data, NULL, NULL, type, on);
  if (code < 0) return code;
  if (code > 0) return conclude(&all, data, 0);
  if (are_equal(&all))
    return conclude(&all, data,
      bsync_plain_allgather(sent, data, count, type, on));
  code = make_room(&all, data);
  if (code == 0)
    code = bsync_plain_allgatherv(sent, recounted(&all, count), all.at,
      all.counts, all.starts, all.type, on);
  return conclude(&all, data, code);
}

int bsync_agreed_allgatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, MPI_Comm on)
{
  struct arrival all;
  int rank, code;
  CHECK(MPI_Comm_rank(on, &rank));
  if ((double)count != counts[rank]) return -MPI_ERR_COUNT;
  code = tell_all(&all, sent, count, data, counts, places, type, on);
  if (code < 0) return code;
  if (code > 0) return conclude(&all, data, 0);
  code = make_room(&all, data);
  if (code == 0)
    code = bsync_plain_allgatherv(sent, recounted(&all, count), all.at,
      all.counts, all.starts, all.type, on);
  return conclude(&all, data, code);
}

/* As [tell_all], with a part for each: [told] has room for all and for all. */
static int tell_others(struct arrival *all, const void *sent, void *data,
  int64_t count, int type, struct told *told, MPI_Comm on)
{
  const int64_t own = count * bsync_widths[type];
  struct told *heard = told + all->size;
  int i;
  for (i = 0; i < all->size; i++)
    bsync_tell(&told[i], (const char *)sent + i * own, own, own);
  CHECK(MPI_Alltoall(told, sizeof *told, MPI_BYTE, heard, sizeof *told,
    MPI_BYTE, on));
  return hear(all, heard) ? take_few(all, data, heard) : 0;
}

/*
 * MPI_Alltoallv of what [make_room] has room for; without [counts] each rank is
 * sent [count] elements.
 */
static int exchange_parts(struct arrival *all, const void *sent,
  const double *counts, const double *places, int64_t count, MPI_Comm on)
{
  double *sizes = malloc((size_t)all->size * 2 * sizeof *sizes);
  double *starts = sizes + all->size;
  const double scale = (double)recounted(all, 1);
  int i, code;
  if (sizes == NULL) return -BSYNC_E_MEMORY;
  for (i = 0; i < all->size; i++) {
    sizes[i] = scale * (counts == NULL ? (double)count : counts[i]);
    starts[i] = scale * (counts == NULL ? (double)count * i : places[i]);
  }
  code = bsync_plain_alltoallv(sent, sizes, starts, all->at, all->counts,
    all->starts, all->type, on);
  free(sizes);
  return code;
}

int bsync_agreed_alltoall(const void *sent, void *data, int64_t count,
  int type, MPI_Comm on)
{
  const int64_t own = bsync_bytes_of(count, type);
  struct arrival all;
  struct told *told;
  int size, code;
  if (own < 0) return (int)own;
  CHECK(MPI_Comm_size(on, &size));
  code = expect(&all, size, NULL, NULL, count, type);
  if (code < 0) return code;
  told = malloc((size_t)size * 2 * sizeof *told);
  if (told == NULL) {
    free(all.rooms);
    return -BSYNC_E_MEMORY;
  }
  code = tell_others(&all, sent, data, count, type, told, on);
  free(told);
  if (code < 0) {
    free(all.rooms);
    return code;
  }
  if (code > 0) return conclude(&all, data, 0);
  if (are_equal(&all))
    return conclude(&all, data,
      bsync_plain_alltoall(sent, data, count, type, on));
  code = make_room(&all, data);
  if (code == 0) code = exchange_parts(&all, sent, NULL, NULL, count, on);
  return conclude(&all, data, code);
}

int bsync_agreed_alltoallv(const void *sent, const double *sent_counts,
  const double *sent_places, void *data, const double *counts,
  const double *places, int type, MPI_Comm on)
{
  struct arrival all;
  int i, size, code;
  if (bsync_datatype(type) == MPI_DATATYPE_NULL) return -MPI_ERR_TYPE;
  CHECK(MPI_Comm_size(on, &size));
  code = expect(&all, size, counts, places, 0, type);
  if (code < 0) return code;
  /* [starts] has its use only later. */
  for (i = 0; i < size; i++)
    all.starts[i] = sent_counts[i] * bsync_widths[type];
  code = MPI_Alltoall(all.starts, 1, MPI_DOUBLE, all.bytes, 1, MPI_DOUBLE, on);
  code = code == MPI_SUCCESS ? make_room(&all, data) : bsync_refused(code);
  if (code == 0)
    code = exchange_parts(&all, sent, sent_counts, sent_places, 0, on);
  return conclude(&all, data, code);
}

#endif
