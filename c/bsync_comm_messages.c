/* Messages and requests: see bsync_comm.h, which is the manual. */
#include "bsync_comm.h"

#include "bsync_comm_table.h"
#include "bsync_receive.h"
#include "bsync_shape.h"
#include "bsync_state.h"

#include <stdlib.h>
#include <string.h>

/*
 * Translates a rank or one of bsync's two constants to MPI's. Returns 0 for any
 * other number, and for BSYNC_ANY unless [any] allows it.
 */
static int peer(int rank, int any, int *mpi_rank)
{
  if (rank >= 0) *mpi_rank = rank;
  else if (rank == BSYNC_PROC_NULL) *mpi_rank = MPI_PROC_NULL;
  else if (rank == BSYNC_ANY && any) *mpi_rank = MPI_ANY_SOURCE;
  else return 0;
  return 1;
}

/* ---- Messages ----------------------------------------------------------- */

/* Fills [status] for a message that came into a room of that shape. */
static int tell(MPI_Status *found, const struct shape *room, double status[3])
{
  MPI_Count many;
  int count;
  status[0] = found->MPI_SOURCE == MPI_PROC_NULL ? BSYNC_PROC_NULL
                                                 : found->MPI_SOURCE;
  status[1] = found->MPI_TAG == MPI_ANY_TAG ? BSYNC_ANY : found->MPI_TAG;
  status[2] = -1;
  CHECK(MPI_Get_count(found, room->type, &count));
  if (!room->made && count != MPI_UNDEFINED) {
    status[2] = count;
    return 0;
  }
  /* Part of a derived type has come, or more than an int can count. */
  CHECK(MPI_Get_elements_x(found, room->type, &many));
  if (many == MPI_UNDEFINED) return -MPI_ERR_TYPE;
  status[2] = (double)many;
  return 0;
}

int bsync_comm_send(const void *data, int64_t count, int type, int dest,
  int tag, int comm)
{
  struct shape sent;
  int to, code;
  FIND(on, comm);
  if (!peer(dest, 0, &to)) return -MPI_ERR_RANK;
  if (tag < 0) return -MPI_ERR_TAG;
  code = bsync_shape_of(count, type, &sent);
  if (code < 0) return code;
  return bsync_done(&sent, bsync_send(data, &sent, to, tag, on));
}

#if BSYNC_GUARDS

static int exchange(const void *sent, struct shape *out, int to, int sent_tag,
  void *data, int64_t bytes, struct shape *in, int from, int tag, MPI_Comm on,
  MPI_Status *found)
{
  MPI_Request request;
  int code, end, come;
  /* A wrong source or tag is an error before anything is sent. */
  code = MPI_Iprobe(from, tag, on, &come, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Isend(sent, out->units, out->type, to, sent_tag, on, &request);
  if (code != MPI_SUCCESS) return code;
  code = bsync_receive(data, bytes, in, from, tag, on, found);
  end = bsync_settle(&request, MPI_STATUS_IGNORE);
  return code == MPI_SUCCESS ? end : code;
}

#else

static int exchange(const void *sent, struct shape *out, int to, int sent_tag,
  void *data, int64_t bytes, struct shape *in, int from, int tag, MPI_Comm on,
  MPI_Status *found)
{
  (void)bytes;
  return MPI_Sendrecv(sent, out->units, out->type, to, sent_tag, data,
    in->units, in->type, from, tag, on, found);
}

#endif

int bsync_comm_recv(void *data, int64_t count, int type, int source, int tag,
  int comm, double status[3])
{
  struct shape room;
  MPI_Status found;
  int from, code;
  FIND(on, comm);
  if (!peer(source, 1, &from)) return -MPI_ERR_RANK;
  if (tag < BSYNC_ANY) return -MPI_ERR_TAG;
  code = bsync_shape_of(count, type, &room);
  if (code < 0) return code;
  code = bsync_receive(data, count * bsync_widths[type], &room, from,
    tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on, &found);
  if (code == MPI_SUCCESS) code = tell(&found, &room, status);
  else code = bsync_refused(code);
  bsync_unshape(&room);
  return code;
}

int bsync_comm_sendrecv(const void *sent, int64_t sent_count, int sent_type,
  int dest, int sent_tag, void *data, int64_t count, int type, int source,
  int tag, int comm, double status[3])
{
  struct shape out, in;
  MPI_Status found;
  int to, from, code;
  FIND(on, comm);
  if (!peer(dest, 0, &to) || !peer(source, 1, &from)) return -MPI_ERR_RANK;
  if (sent_tag < 0 || tag < BSYNC_ANY) return -MPI_ERR_TAG;
  code = bsync_shape_of(sent_count, sent_type, &out);
  if (code < 0) return code;
  code = bsync_shape_of(count, type, &in);
  if (code < 0) {
    bsync_unshape(&out);
    return code;
  }
  code = exchange(sent, &out, to, sent_tag, data, count * bsync_widths[type],
    &in, from, tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on, &found);
  if (code == MPI_SUCCESS) code = tell(&found, &in, status);
  else code = bsync_refused(code);
  bsync_unshape(&out);
  bsync_unshape(&in);
  return code;
}

static int told_probe(int code, MPI_Status *found, double status[3])
{
  struct shape bytes = {MPI_BYTE, 0, 0};
  if (code != MPI_SUCCESS) return bsync_refused(code);
  return tell(found, &bytes, status);
}

int bsync_comm_probe(int source, int tag, int comm, double status[3])
{
  MPI_Status found;
  int from;
  FIND(on, comm);
  if (!peer(source, 1, &from)) return -MPI_ERR_RANK;
  if (tag < BSYNC_ANY) return -MPI_ERR_TAG;
  return told_probe(
    bsync_probe(from, tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on, &found),
    &found, status);
}

int bsync_comm_iprobe(int source, int tag, int comm, double status[3])
{
  MPI_Status found;
  int from, flag = 0, code;
  FIND(on, comm);
  if (!peer(source, 1, &from)) return -MPI_ERR_RANK;
  if (tag < BSYNC_ANY) return -MPI_ERR_TAG;
  code = bsync_iprobe(from, tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on, &flag,
    &found);
  if (code == MPI_SUCCESS && !flag) return 0;
  code = told_probe(code, &found, status);
  return code < 0 ? code : 1;
}

/* ---- Requests ----------------------------------------------------------- */

/* Request n is slot n - 1; free ones form a list through [next]. */
struct open_request {
  MPI_Request request;     /* of a send */
  struct shape sent;
  struct receive *receive; /* null for a send */
  int is_empty;            /* a receive from BSYNC_PROC_NULL */
  int next;
};

#define IN_USE (-2)
#define LAST (-1)

static struct open_request *requests;
static int request_count;
static int free_request = LAST;

static int grow_requests(void)
{
  int i, count = request_count == 0 ? 64 : 2 * request_count;
  struct open_request *grown = realloc(requests, (size_t)count * sizeof *grown);
  if (grown == NULL) return -BSYNC_E_MEMORY;
  requests = grown;
  for (i = request_count; i < count; i++)
    requests[i].next = i + 1 < count ? i + 1 : LAST;
  free_request = request_count;
  request_count = count;
  return 0;
}

/* Takes the first free slot; there is one. */
static struct open_request *keep(struct receive *receive)
{
  struct open_request *slot = &requests[free_request];
  free_request = slot->next;
  slot->next = IN_USE;
  slot->receive = receive;
  slot->request = MPI_REQUEST_NULL;
  slot->is_empty = 0;
  return slot;
}

static int request_number(const struct open_request *slot)
{
  return (int)(slot - requests) + 1;
}

/* Fills [status] for a receive that is over. */
static int told_receive(struct open_request *over, MPI_Status *found,
  double status[3])
{
  if (!over->is_empty) return tell(found, &over->receive->room, status);
  /* MPICH 4.0 tells rank 0 and tag 0 of a receive from nobody. */
  status[0] = BSYNC_PROC_NULL;
  status[1] = BSYNC_ANY;
  status[2] = 0;
  return 0;
}

/* Frees a slot, and all that it holds. */
static void let_go(struct open_request *over)
{
  if (over->receive != NULL) bsync_receive_end(over->receive);
  else {
    if (over->request != MPI_REQUEST_NULL) MPI_Request_free(&over->request);
    bsync_unshape(&over->sent);
  }
  over->next = free_request;
  free_request = (int)(over - requests);
}

/* Frees the slot of a request that is over, fills [status], and answers. */
static int finish(struct open_request *over, int code, MPI_Status *found,
  double status[3])
{
  if (code != MPI_SUCCESS) code = bsync_refused(code);
  else if (over->receive != NULL) code = told_receive(over, found, status);
  let_go(over);
  return code < 0 ? code : 1;
}

#define FIND_REQUEST(slot, number)                                             \
  struct open_request *slot;                                                   \
  if (!bsync_is_open()) return bsync_not_open();                               \
  if ((number) < 1 || (number) > request_count) return -BSYNC_E_REQUEST;       \
  slot = &requests[(number) - 1];                                              \
  if (slot->next != IN_USE) return -BSYNC_E_REQUEST

int bsync_comm_isend(const void *data, int64_t count, int type, int dest,
  int tag, int comm)
{
  struct open_request *slot;
  struct shape sent;
  MPI_Request request;
  int to, code;
  FIND(on, comm);
  if (!peer(dest, 0, &to)) return -MPI_ERR_RANK;
  if (tag < 0) return -MPI_ERR_TAG;
  if (free_request == LAST && grow_requests() < 0) return -BSYNC_E_MEMORY;
  code = bsync_shape_of(count, type, &sent);
  if (code < 0) return code;
  code = MPI_Isend(data, sent.units, sent.type, to, tag, on, &request);
  if (code != MPI_SUCCESS) return bsync_done(&sent, code);
  slot = keep(NULL);
  slot->request = request;
  slot->sent = sent;
  return request_number(slot);
}

int bsync_comm_irecv(void *data, int64_t count, int type, int source, int tag,
  int comm)
{
  struct open_request *slot;
  struct receive *made;
  int from, code;
  FIND(on, comm);
  if (!peer(source, 1, &from)) return -MPI_ERR_RANK;
  if (tag < BSYNC_ANY) return -MPI_ERR_TAG;
  if (free_request == LAST && grow_requests() < 0) return -BSYNC_E_MEMORY;
  code = bsync_receive_start(&made, data, count, type, from,
    tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on);
  if (code != MPI_SUCCESS) return bsync_refused(code);
  slot = keep(made);
  slot->is_empty = from == MPI_PROC_NULL;
  return request_number(slot);
}

int bsync_comm_test(int request, double status[3])
{
  MPI_Status found;
  int done = 0, code;
  FIND_REQUEST(slot, request);
  code = slot->receive != NULL
    ? bsync_receive_test(slot->receive, &done, &found)
    : bsync_test(&slot->request, &done, &found);
  if (code == MPI_SUCCESS && !done) return 0;
  return finish(slot, code, &found, status);
}

int bsync_comm_wait(int request, double status[3])
{
  MPI_Status found;
  int code;
  FIND_REQUEST(slot, request);
  code = slot->receive != NULL ? bsync_receive_wait(slot->receive, &found)
                               : bsync_settle(&slot->request, &found);
  return finish(slot, code, &found, status);
}

int bsync_comm_cancel(int request, double status[3])
{
  MPI_Status found;
  int cancelled = 0, code;
  FIND_REQUEST(slot, request);
  if (slot->receive == NULL) return -MPI_ERR_REQUEST;
  code = bsync_receive_cancel(slot->receive, &cancelled, &found);
  if (cancelled) {
    let_go(slot);
    return 1;
  }
  code = finish(slot, code, &found, status);
  return code < 0 ? code : 0;
}

void bsync_comm_stop(void)
{
  MPI_Status found;
  int i, cancelled;
  for (i = 0; i < request_count; i++) {
    struct open_request *left = &requests[i];
    if (left->next != IN_USE) continue;
    if (left->receive != NULL)
      bsync_receive_cancel(left->receive, &cancelled, &found);
    let_go(left);
  }
}
