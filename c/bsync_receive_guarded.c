/*
 * Receives under Open MPI, which write nothing past their arrays: see
 * bsync_receive.h, which is the manual, and bsync_guard.h for the reason.
 */
#include "bsync_receive.h"

#include <stddef.h>
#include <string.h>

#if BSYNC_GUARDS

/* ---- Rooms -------------------------------------------------------------- */

/* Memory for two elements, with a gap between them, that nobody reads. */
static char beyond[32];
#define GAP 16

/* Makes the type of [data], which is [room], and of the two elements beyond. */
static int bound(void *data, const struct shape *room, MPI_Datatype *made)
{
  MPI_Datatype types[3];
  MPI_Aint start, places[3] = {0};
  int lengths[3] = {room->units, 1, 1};
  int code;
  types[0] = room->type;
  types[1] = types[2] = MPI_BYTE;
  MPI_Get_address(data, &start);
  MPI_Get_address(beyond, &places[1]);
  places[1] -= start;
  places[2] = places[1] + GAP;
  code = MPI_Type_create_struct(3, lengths, places, types, made);
  return code == MPI_SUCCESS ? MPI_Type_commit(made) : code;
}

static int64_t length_of(MPI_Status *found)
{
  MPI_Count length = 0;
  MPI_Get_elements_x(found, MPI_BYTE, &length);
  return length;
}

/* One type for all short arrays: room for the longest, a gap, one element. */
static int little_type(MPI_Datatype *type)
{
  static MPI_Datatype made = MPI_DATATYPE_NULL;
  int lengths[2] = {BSYNC_LITTLE, 1}, places[2] = {0, BSYNC_LITTLE + GAP};
  int code = MPI_SUCCESS;
  if (made == MPI_DATATYPE_NULL) {
    code = MPI_Type_indexed(2, lengths, places, MPI_BYTE, &made);
    if (code == MPI_SUCCESS) code = MPI_Type_commit(&made);
  }
  *type = made;
  return code;
}

/* Open MPI cuts a message of a rank to itself without an error. */
static int is_whole(int code, MPI_Status *found, int64_t bytes)
{
  return code == MPI_SUCCESS && length_of(found) > bytes ? MPI_ERR_TRUNCATE
                                                         : code;
}

/* Receives the message that was [found] and is too long, as far as it fits. */
static int receive_part(void *data, int64_t bytes, const struct shape *room,
  MPI_Comm on, MPI_Status *found)
{
  MPI_Datatype bounded;
  int code = bound(data, room, &bounded);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Recv(data, 1, bounded, found->MPI_SOURCE, found->MPI_TAG, on,
    found);
  MPI_Type_free(&bounded);
  return is_whole(code, found, bytes);
}

int bsync_receive(void *data, int64_t bytes, const struct shape *room,
  int source, int tag, MPI_Comm on, MPI_Status *found)
{
  /* There is one thread: nobody else can take the message that was found. */
  int code = bsync_probe(source, tag, on, found);
  if (code != MPI_SUCCESS) return code;
  if (length_of(found) > bytes)
    return receive_part(data, bytes, room, on, found);
  return MPI_Recv(data, room->units, room->type, found->MPI_SOURCE,
    found->MPI_TAG, on, found);
}

/* ---- The queue ---------------------------------------------------------- */

/* Each look asks MPI for each receive in the queue: above this MPI has all. */
#define MOST 64

static struct receive *first_waiting, *last_waiting;
static int waiting;

static void enqueue(struct receive *one)
{
  one->waits = 1;
  one->before = last_waiting;
  one->after = NULL;
  if (last_waiting == NULL) first_waiting = one;
  else last_waiting->after = one;
  last_waiting = one;
  waiting++;
}

static void dequeue(struct receive *one)
{
  if (one->before == NULL) first_waiting = one->after;
  else one->before->after = one->after;
  if (one->after == NULL) last_waiting = one->before;
  else one->after->before = one->before;
  one->waits = 0;
  waiting--;
}

/* Whether the message [found] is for a receive in the queue, before [end]. */
static int is_promised(const MPI_Status *found, MPI_Comm on,
  const struct receive *end)
{
  const struct receive *one;
  for (one = first_waiting; one != end; one = one->after)
    if (one->on == on &&
        (one->source == MPI_ANY_SOURCE || one->source == found->MPI_SOURCE) &&
        (one->tag == MPI_ANY_TAG || one->tag == found->MPI_TAG))
      return 1;
  return 0;
}

/* Gives a receive to MPI before its message has come. */
static int post_bounded(struct receive *one)
{
  MPI_Datatype bounded;
  int code = bound(one->data, &one->room, &bounded);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Irecv(one->data, 1, bounded, one->source, one->tag, one->on,
    &one->request);
  MPI_Type_free(&bounded); /* when it is done (section 5.1.9) */
  return code;
}

/* As [post_bounded], for a short array: a type of its own would cost more. */
static int post_little(struct receive *one)
{
  MPI_Datatype type;
  int code = little_type(&type);
  if (code != MPI_SUCCESS) return code;
  one->is_little = 1;
  return MPI_Irecv(one->little, 1, type, one->source, one->tag, one->on,
    &one->request);
}

/* The end of a receive. Returns [code], or the error that its length is. */
static int arrived(struct receive *one, int code, MPI_Status *found)
{
  const int64_t length = code == MPI_SUCCESS ? length_of(found) : 0;
  if (one->is_little && length > 0)
    memcpy(one->data, one->little,
      (size_t)(length < one->bytes ? length : one->bytes));
  return is_whole(code, found, one->bytes);
}

/* Gives a receive to MPI whose message was [found]. */
static int post_found(struct receive *one, MPI_Status *found)
{
  one->source = found->MPI_SOURCE;
  one->tag = found->MPI_TAG;
  if (length_of(found) > one->bytes) return post_bounded(one);
  return MPI_Irecv(one->data, one->room.units, one->room.type, one->source,
    one->tag, one->on, &one->request);
}

/* Whether any message has come on [on]. An error counts as one. */
static int has_mail(MPI_Comm on)
{
  MPI_Status found;
  int come = 0;
  return MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, on, &come, &found) !=
    MPI_SUCCESS || come;
}

static void advance(void)
{
  MPI_Comm silent = MPI_COMM_NULL, loud = MPI_COMM_NULL;
  struct receive *one = first_waiting, *next;
  MPI_Status found;
  int come;
  for (; one != NULL; one = next) {
    next = one->after;
    if (one->on == silent) continue;
    if (one->on != loud && !has_mail(one->on)) {
      silent = one->on;
      continue;
    }
    loud = one->on;
    come = 0;
    one->code = MPI_Iprobe(one->source, one->tag, one->on, &come, &found);
    if (one->code == MPI_SUCCESS && !come) continue;
    if (come && is_promised(&found, one->on, one)) {
      next = first_waiting; /* it came just now, for an earlier receive */
      continue;
    }
    dequeue(one);
    if (come) one->code = post_found(one, &found);
  }
}

void bsync_post(void)
{
  if (waiting == 0) return;
  advance();
  while (first_waiting != NULL) {
    struct receive *one = first_waiting;
    dequeue(one);
    one->code = post_bounded(one);
  }
}

/* ---- Receives that go on ------------------------------------------------ */

/* Whether a receive of that communicator is in the queue. */
static int has_waiting(MPI_Comm on)
{
  const struct receive *one;
  for (one = first_waiting; one != NULL; one = one->after)
    if (one->on == on) return 1;
  return 0;
}

/*
 * MPI copies a small message on its way in any case, so that a small receive is
 * given to MPI at once. A longer receive waits in the queue for its message. A
 * look there tells now whether the message has come, or there is no such rank.
 */
static int begin(struct receive *one)
{
  if (one->source == MPI_PROC_NULL)
    return MPI_Irecv(one->data, one->room.units, one->room.type, one->source,
      one->tag, one->on, &one->request);
  if (waiting >= MOST) bsync_post();
  if (one->bytes <= BSYNC_SMALL && !has_waiting(one->on))
    return one->bytes <= BSYNC_LITTLE ? post_little(one) : post_bounded(one);
  enqueue(one);
  advance();
  if (one->waits || one->code == MPI_SUCCESS) return MPI_SUCCESS;
  return one->code;
}

int bsync_receive_start(struct receive **made, void *data, int64_t count,
  int type, int source, int tag, MPI_Comm on)
{
  struct receive *one;
  int code = bsync_receive_make(&one, data, count, type, source, tag, on);
  *made = NULL;
  if (code != MPI_SUCCESS) return code;
  code = begin(one);
  if (code == MPI_SUCCESS) *made = one;
  else bsync_receive_end(one);
  return code;
}

int bsync_receive_test(struct receive *one, int *done, MPI_Status *found)
{
  int code;
  *done = 0;
  if (waiting > 0) advance();
  if (one->waits) return MPI_SUCCESS;
  if (one->code != MPI_SUCCESS) return one->code;
  code = MPI_Test(&one->request, done, found);
  return *done ? arrived(one, code, found) : code;
}

int bsync_receive_wait(struct receive *one, MPI_Status *found)
{
  int code;
  while (one->waits) advance();
  if (one->code != MPI_SUCCESS) return one->code;
  code = bsync_settle(&one->request, found);
  return arrived(one, code, found);
}

int bsync_receive_cancel(struct receive *one, int *cancelled,
  MPI_Status *found)
{
  int code;
  advance();
  *cancelled = one->waits;
  if (one->waits) {
    dequeue(one);
    return MPI_SUCCESS;
  }
  if (one->code != MPI_SUCCESS) return one->code;
  code = MPI_Cancel(&one->request);
  if (code != MPI_SUCCESS) return code;
  code = bsync_settle(&one->request, found);
  if (code == MPI_SUCCESS) MPI_Test_cancelled(found, cancelled);
  return *cancelled ? code : arrived(one, code, found);
}

void bsync_receive_end(struct receive *one)
{
  if (one->waits) dequeue(one);
  bsync_receive_free(one);
}

/* ---- Calls during which receives go on ---------------------------------- */

int bsync_iprobe(int source, int tag, MPI_Comm on, int *come,
  MPI_Status *found)
{
  int code;
  if (waiting == 0) return MPI_Iprobe(source, tag, on, come, found);
  do {
    advance();
    code = MPI_Iprobe(source, tag, on, come, found);
  } while (code == MPI_SUCCESS && *come && is_promised(found, on, NULL));
  return code;
}

int bsync_probe(int source, int tag, MPI_Comm on, MPI_Status *found)
{
  int come = 0, code = MPI_SUCCESS;
  if (waiting == 0) return MPI_Probe(source, tag, on, found);
  while (code == MPI_SUCCESS && !come)
    code = bsync_iprobe(source, tag, on, &come, found);
  return code;
}

int bsync_send(const void *data, const struct shape *sent, int dest, int tag,
  MPI_Comm on)
{
  MPI_Request request;
  int code;
  if (waiting == 0)
    return MPI_Send(data, sent->units, sent->type, dest, tag, on);
  code = MPI_Isend(data, sent->units, sent->type, dest, tag, on, &request);
  return code == MPI_SUCCESS ? bsync_settle(&request, MPI_STATUS_IGNORE) : code;
}

int bsync_test(MPI_Request *request, int *done, MPI_Status *found)
{
  if (waiting > 0) advance();
  return MPI_Test(request, done, found);
}

int bsync_settle(MPI_Request *request, MPI_Status *found)
{
  int done = 0, code;
  while (waiting > 0) {
    advance();
    code = MPI_Test(request, &done, found);
    if (done || code != MPI_SUCCESS) return code;
  }
  return MPI_Wait(request, found);
}

#endif
