/*
 * Collectives in which parts of several ranks come to one rank, whose lengths
 * are told first: see bsync_comm_agree.h, which is the manual.
 */
#include "bsync_comm_agree.h"

#include "bsync_comm_plain.h"
#include "bsync_comm_told.h"
#include "bsync_shape.h"
#include "bsync_state.h"

#include <stdlib.h>

#if BSYNC_GUARDS

/* The part of each rank: its length, in bytes and in elements, and its home. */
struct arrival {
  int size;
  double *rooms;  /* bytes that the array has for the part */
  double *homes;  /* elements from the beginning of the array */
  double *bytes;  /* of the part that comes */
  double *counts; /* the same as elements of [type] */
  double *starts; /* where it is received, in the same elements from [at] on */
  char *at, *made;
  int type, asked;
};

/*
 * Makes rooms of [counts] elements at [places]; without them, of [count]
 * elements each, one behind the other.
 */
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

/*
 * Decides where the parts are received, now that [bytes] is known: in [data] if
 * all of them fit, else in memory.
 */
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

/* Copies part [i] from [from] to its home in [data]. */
static void take_home(struct arrival *all, void *data, int i, const char *from)
{
  bsync_put((char *)data + (int64_t)all->homes[i] * bsync_widths[all->asked],
    (int64_t)all->rooms[i], from, (int64_t)all->bytes[i]);
}

/*
 * Takes the parts home, and frees the memory. Returns the answer, which is
 * [code] where they have not come.
 */
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

/* Counts [count] elements anew, in elements of the type that is received. */
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

/* Takes the lengths out of [told]. Returns 1 where all are a FEW bytes. */
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

/* Takes parts home that have come with their lengths: nothing else follows. */
static int take_few(struct arrival *all, void *data, const struct told *told)
{
  int i;
  for (i = 0; i < all->size; i++) take_home(all, data, i, told[i].values);
  return 1;
}

/*
 * Makes rooms, and has all ranks tell all. Returns 1 where all parts have come
 * with their lengths, 0 where they follow, or an error.
 */
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

/*
 * As [tell_all], with a part for each rank: [told] has room for the lengths of
 * all parts that go, and behind them for those of all parts that come.
 */
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
 * MPI_Alltoallv into the room that [make_room] has found. Without [counts] each
 * rank is sent [count] elements.
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
  /* [starts] lends its memory: it is filled later. */
  for (i = 0; i < size; i++)
    all.starts[i] = sent_counts[i] * bsync_widths[type];
  code = MPI_Alltoall(all.starts, 1, MPI_DOUBLE, all.bytes, 1, MPI_DOUBLE, on);
  code = code == MPI_SUCCESS ? make_room(&all, data) : bsync_refused(code);
  if (code == 0)
    code = exchange_parts(&all, sent, sent_counts, sent_places, 0, on);
  return conclude(&all, data, code);
}

#endif
