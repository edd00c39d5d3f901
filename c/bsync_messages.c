/* Messages and requests: see bsync_comm.h. */
#include "bsync_comm.h"
#include "bsync_mpi.h"
#include "bsync_shape.h"

#include <stdlib.h>
#include <string.h>

/* A rank, or one of bsync's two constants; 0 where it can be neither. */
static int peer(int rank, int any, int *mpi_rank)
{
  if (rank >= 0) *mpi_rank = rank;
  else if (rank == BSYNC_PROC_NULL) *mpi_rank = MPI_PROC_NULL;
  else if (rank == BSYNC_ANY && any) *mpi_rank = MPI_ANY_SOURCE;
  else return 0;
  return 1;
}

/* ---- Messages ----------------------------------------------------------- */

/* Fills [status] for what came into a room of that shape. */
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
  /* In part of a derived type, or more than an int can tell. */
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
  return bsync_done(&sent, MPI_Send(data, sent.units, sent.type, to, tag, on));
}

#if defined(OPEN_MPI)

/* A message of so many bytes, which has come, of which [room] bytes fit. */
static int receive_part(void *data, int64_t room, int64_t bytes,
  MPI_Status *found, MPI_Comm on)
{
  struct shape whole;
  int code;
  void *memory = malloc((size_t)bytes);
  if (memory == NULL) return BSYNC_E_MEMORY;
  code = bsync_shape_of(bytes, BSYNC_BYTE, &whole);
  if (code < 0) {
    free(memory);
    return -code;
  }
  code = MPI_Recv(memory, whole.units, whole.type, found->MPI_SOURCE,
    found->MPI_TAG, on, found);
  bsync_unshape(&whole);
  memcpy(data, memory, (size_t)room);
  free(memory);
  return code == MPI_SUCCESS ? MPI_ERR_TRUNCATE : code;
}

/*
 * MPI_Recv into [bytes] bytes. Open MPI 4.1 writes what is longer than 4 KiB
 * to its end, past that of [data], before it tells of it: so its length is
 * asked for first, which takes 50 ns.
 */
static int receive(void *data, int64_t bytes, struct shape *room, int from,
  int tag, MPI_Comm on, MPI_Status *found)
{
  MPI_Count length = 0;
  int code = MPI_Probe(from, tag, on, found);
  if (code != MPI_SUCCESS) return code;
  MPI_Get_elements_x(found, MPI_BYTE, &length);
  if (length > bytes) return receive_part(data, bytes, length, found, on);
  return MPI_Recv(data, room->units, room->type, found->MPI_SOURCE,
    found->MPI_TAG, on, found);
}

static int exchange(const void *sent, struct shape *out, int to, int sent_tag,
  void *data, int64_t bytes, struct shape *in, int from, int tag, MPI_Comm on,
  MPI_Status *found)
{
  MPI_Request request;
  int code, end, come;
  /* What is wrong with them is said before anything is sent. */
  code = MPI_Iprobe(from, tag, on, &come, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Isend(sent, out->units, out->type, to, sent_tag, on, &request);
  if (code != MPI_SUCCESS) return code;
  code = receive(data, bytes, in, from, tag, on, found);
  end = MPI_Wait(&request, MPI_STATUS_IGNORE);
  return code == MPI_SUCCESS ? end : code;
}

#else

static int receive(void *data, int64_t bytes, struct shape *room, int from,
  int tag, MPI_Comm on, MPI_Status *found)
{
  (void)bytes;
  return MPI_Recv(data, room->units, room->type, from, tag, on, found);
}

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
  code = receive(data, count * bsync_widths[type], &room, from,
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
    MPI_Probe(from, tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on, &found), &found,
    status);
}

int bsync_comm_iprobe(int source, int tag, int comm, double status[3])
{
  MPI_Status found;
  int from, flag = 0, code;
  FIND(on, comm);
  if (!peer(source, 1, &from)) return -MPI_ERR_RANK;
  if (tag < BSYNC_ANY) return -MPI_ERR_TAG;
  code = MPI_Iprobe(from, tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on, &flag,
    &found);
  if (code == MPI_SUCCESS && !flag) return 0;
  code = told_probe(code, &found, status);
  return code < 0 ? code : 1;
}

/* ---- Requests ----------------------------------------------------------- */

/* Request n is slot n - 1; free ones form a list through [next]. */
struct open_request {
  MPI_Request request;
  struct shape shape;
  int receives; /* and, if FROM_NOBODY, there is but one thing to tell */
  int next;
};

#define FROM_NOBODY 2

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

/* A request in the first free slot, or what to answer. */
static int keep(MPI_Request request, struct shape *of, int receives)
{
  int index = free_request;
  free_request = requests[index].next;
  requests[index].next = IN_USE;
  requests[index].request = request;
  requests[index].shape = *of;
  requests[index].receives = receives;
  return index + 1;
}

/* It is over: frees its slot, fills [status] for a receive, and answers. */
static int finish(int index, int code, MPI_Status *found, double status[3])
{
  struct open_request *over = &requests[index];
  if (code != MPI_SUCCESS) {
    code = bsync_refused(code);
    if (over->request != MPI_REQUEST_NULL) MPI_Request_free(&over->request);
  } else if (over->receives == FROM_NOBODY) {
    /* MPICH 4.0 tells of rank 0 and tag 0. */
    status[0] = BSYNC_PROC_NULL;
    status[1] = BSYNC_ANY;
    status[2] = 0;
  } else if (over->receives) {
    code = tell(found, &over->shape, status);
  }
  bsync_unshape(&over->shape);
  over->next = free_request;
  free_request = index;
  return code < 0 ? code : 1;
}

#define FIND_REQUEST(index, number)                                            \
  int index = (number) - 1;                                                    \
  if (bsync_mpi_running() < 0) return bsync_mpi_running();                     \
  if (index < 0 || index >= request_count || requests[index].next != IN_USE)   \
    return -BSYNC_E_REQUEST

int bsync_comm_isend(const void *data, int64_t count, int type, int dest,
  int tag, int comm)
{
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
  return keep(request, &sent, 0);
}

int bsync_comm_irecv(void *data, int64_t count, int type, int source, int tag,
  int comm)
{
  struct shape room;
  MPI_Request request;
  int from, code;
  FIND(on, comm);
  if (!peer(source, 1, &from)) return -MPI_ERR_RANK;
  if (tag < BSYNC_ANY) return -MPI_ERR_TAG;
  if (free_request == LAST && grow_requests() < 0) return -BSYNC_E_MEMORY;
  code = bsync_shape_of(count, type, &room);
  if (code < 0) return code;
  code = MPI_Irecv(data, room.units, room.type, from,
    tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on, &request);
  if (code != MPI_SUCCESS) return bsync_done(&room, code);
  return keep(request, &room, from == MPI_PROC_NULL ? FROM_NOBODY : 1);
}

int bsync_comm_test(int request, double status[3])
{
  MPI_Status found;
  int flag = 0, code;
  FIND_REQUEST(index, request);
  code = MPI_Test(&requests[index].request, &flag, &found);
  if (code == MPI_SUCCESS && !flag) return 0;
  return finish(index, code, &found, status);
}

int bsync_comm_wait(int request, double status[3])
{
  MPI_Status found;
  int code;
  FIND_REQUEST(index, request);
  code = MPI_Wait(&requests[index].request, &found);
  return finish(index, code, &found, status);
}

int bsync_comm_cancel(int request, double status[3])
{
  MPI_Status found;
  int cancelled = 0, code;
  FIND_REQUEST(index, request);
  if (!requests[index].receives) return -MPI_ERR_REQUEST;
  CHECK(MPI_Cancel(&requests[index].request));
  code = MPI_Wait(&requests[index].request, &found);
  if (code == MPI_SUCCESS) MPI_Test_cancelled(&found, &cancelled);
  if (cancelled) {
    requests[index].receives = 0; /* nothing to tell */
    finish(index, MPI_SUCCESS, &found, status);
    return 1;
  }
  code = finish(index, code, &found, status);
  return code < 0 ? code : 0;
}

void bsync_comm_stop(void)
{
  int i;
  for (i = 0; i < request_count; i++) {
    struct open_request *left = &requests[i];
    if (left->next != IN_USE) continue;
    if (left->receives) {
      MPI_Cancel(&left->request);
      MPI_Wait(&left->request, MPI_STATUS_IGNORE);
    } else {
      MPI_Request_free(&left->request);
    }
    bsync_unshape(&left->shape);
    left->next = free_request;
    free_request = i;
  }
}
