/* See bsync_comm.h, which is the manual. */
#include "bsync_comm.h"
#include "bsync_mpi.h"

#include <limits.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

/* Leaves the function with an error of MPI's. */
#define CHECK(call)                                                            \
  do {                                                                         \
    int code_ = (call);                                                        \
    if (code_ != MPI_SUCCESS) return refused(code_);                           \
  } while (0)

static int refused(int code)
{
  return code > 0 ? -code : -MPI_ERR_OTHER;
}

/* ---- Numbers for handles ------------------------------------------------ */

static MPI_Comm *comms;
static int comm_count;
static int64_t limit_bytes; /* 0: none but that of an int */

/* The communicator of that number, or NULL and the [answer] to give. */
static MPI_Comm find(int comm, int *answer)
{
  *answer = bsync_mpi_running();
  if (*answer < 0) return MPI_COMM_NULL;
  if (comm < 1 || comm > comm_count || comms[comm - 1] == MPI_COMM_NULL)
    *answer = -MPI_ERR_COMM;
  return *answer < 0 ? MPI_COMM_NULL : comms[comm - 1];
}

#define FIND(mpi_comm, number)                                                 \
  int found_;                                                                  \
  MPI_Comm mpi_comm = find(number, &found_);                                   \
  if (found_ < 0) return found_

static int number_for(MPI_Comm made)
{
  int i;
  MPI_Comm *grown;
  if (made == MPI_COMM_NULL) return 0;
  MPI_Comm_set_errhandler(made, MPI_ERRORS_RETURN);
  for (i = 0; i < comm_count; i++) {
    if (comms[i] != MPI_COMM_NULL) continue;
    comms[i] = made;
    return i + 1;
  }
  grown = realloc(comms, (size_t)(comm_count + 1) * sizeof *grown);
  if (grown == NULL) {
    MPI_Comm_free(&made);
    return -BSYNC_E_MEMORY;
  }
  comms = grown;
  comms[comm_count] = made;
  return ++comm_count;
}

static MPI_Datatype datatype(int type)
{
  switch (type) {
  case BSYNC_BYTE: return MPI_BYTE;
  case BSYNC_INT8: return MPI_INT8_T;
  case BSYNC_UINT8: return MPI_UINT8_T;
  case BSYNC_INT16: return MPI_INT16_T;
  case BSYNC_UINT16: return MPI_UINT16_T;
  case BSYNC_INT32: return MPI_INT32_T;
  case BSYNC_UINT32: return MPI_UINT32_T;
  case BSYNC_INT64: return MPI_INT64_T;
  case BSYNC_UINT64: return MPI_UINT64_T;
  case BSYNC_FLOAT: return MPI_FLOAT;
  case BSYNC_DOUBLE: return MPI_DOUBLE;
  default: return MPI_DATATYPE_NULL;
  }
}

/* Bytes of an element. */
static const int widths[BSYNC_TYPES] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8};

static MPI_Op operation(int op)
{
  switch (op) {
  case BSYNC_SUM: return MPI_SUM;
  case BSYNC_PROD: return MPI_PROD;
  case BSYNC_MIN: return MPI_MIN;
  case BSYNC_MAX: return MPI_MAX;
  case BSYNC_LAND: return MPI_LAND;
  case BSYNC_LOR: return MPI_LOR;
  case BSYNC_BAND: return MPI_BAND;
  case BSYNC_BOR: return MPI_BOR;
  case BSYNC_BXOR: return MPI_BXOR;
  default: return MPI_OP_NULL;
  }
}

/* A rank, or one of bsync's two constants; 0 where it can be neither. */
static int peer(int rank, int any, int *mpi_rank)
{
  if (rank >= 0) *mpi_rank = rank;
  else if (rank == BSYNC_PROC_NULL) *mpi_rank = MPI_PROC_NULL;
  else if (rank == BSYNC_ANY && any) *mpi_rank = MPI_ANY_SOURCE;
  else return 0;
  return 1;
}

/* ---- Long arrays -------------------------------------------------------- */

/* What stands for [count] elements in a call of MPI's: [units] of [type]. */
struct shape {
  MPI_Datatype type;
  int units;
  int made; /* [type] is derived, and to be freed */
};

/* Elements of one block: what MPI is told as one count. */
static int64_t block_of(int width)
{
  int64_t elements = limit_bytes == 0 ? INT_MAX : limit_bytes / width;
  if (elements < 1) return 1;
  return elements > INT_MAX ? INT_MAX : elements;
}

static int make_long(int64_t count, int width, MPI_Datatype element,
  MPI_Datatype *made)
{
  int64_t block = block_of(width), blocks = count / block;
  int64_t rest = count % block;
  MPI_Datatype types[2], whole;
  MPI_Aint places[2] = {0, (MPI_Aint)(blocks * block * width)};
  int lengths[2] = {1, (int)rest};
  int code;
  if (blocks > INT_MAX) return BSYNC_E_LARGE;
  code = MPI_Type_contiguous((int)block, element, &whole);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Type_contiguous((int)blocks, whole, &types[0]);
  MPI_Type_free(&whole);
  if (code != MPI_SUCCESS) return code;
  types[1] = element;
  code = MPI_Type_create_struct(2, lengths, places, types, &whole);
  MPI_Type_free(&types[0]);
  if (code != MPI_SUCCESS) return code;
  code = MPI_Type_create_resized(whole, 0, (MPI_Aint)(count * width), made);
  MPI_Type_free(&whole);
  return code == MPI_SUCCESS ? MPI_Type_commit(made) : code;
}

/* Returns 0, or what to answer. */
static int shape(int64_t count, int type, struct shape *shape)
{
  shape->made = 0;
  shape->type = datatype(type);
  if (shape->type == MPI_DATATYPE_NULL) return -MPI_ERR_TYPE;
  if (count < 0) return -MPI_ERR_COUNT;
  shape->units = (int)count;
  if (count <= INT_MAX && count <= block_of(widths[type])) return 0;
  CHECK(make_long(count, widths[type], datatype(type), &shape->type));
  shape->units = 1;
  shape->made = 1;
  return 0;
}

static void unshape(struct shape *shape)
{
  if (shape->made) MPI_Type_free(&shape->type);
  shape->made = 0;
}

/* After a call of MPI's with that shape: frees it, and gives the answer. */
static int done(struct shape *shape, int code)
{
  unshape(shape);
  return code == MPI_SUCCESS ? 0 : refused(code);
}

/* ---- Beginning, end, facts ---------------------------------------------- */

int bsync_comm_start(void)
{
  MPI_Comm world;
  int code = MPI_Comm_dup(MPI_COMM_WORLD, &world);
  if (code != MPI_SUCCESS) return code;
  return number_for(world) == BSYNC_COMM_WORLD ? MPI_SUCCESS : MPI_ERR_OTHER;
}

int bsync_comm_limit(int64_t bytes)
{
  if (bytes < 1) return -BSYNC_E_ARGUMENT;
  limit_bytes = bytes;
  return 0;
}

int bsync_comm_rank(int comm)
{
  int rank;
  FIND(on, comm);
  CHECK(MPI_Comm_rank(on, &rank));
  return rank;
}

int bsync_comm_size(int comm)
{
  int size;
  FIND(on, comm);
  CHECK(MPI_Comm_size(on, &size));
  return size;
}

int bsync_comm_members(int comm, int32_t *ranks, int count)
{
  MPI_Group members, all;
  int i, size, code, *own;
  FIND(on, comm);
  CHECK(MPI_Comm_size(on, &size));
  if (count < size) return -BSYNC_E_ARGUMENT;
  own = malloc((size_t)size * sizeof *own);
  if (own == NULL) return -BSYNC_E_MEMORY;
  for (i = 0; i < size; i++) own[i] = i;
  code = MPI_Comm_group(on, &members);
  if (code == MPI_SUCCESS) {
    code = MPI_Comm_group(MPI_COMM_WORLD, &all);
    if (code == MPI_SUCCESS) {
      code = MPI_Group_translate_ranks(members, size, own, all, ranks);
      MPI_Group_free(&all);
    }
    MPI_Group_free(&members);
  }
  free(own);
  return code == MPI_SUCCESS ? 0 : refused(code);
}

double bsync_comm_wtime(void)
{
  int running = bsync_mpi_running();
  return running < 0 ? running : MPI_Wtime();
}

int bsync_comm_processor_name(char *text, int size)
{
  char name[MPI_MAX_PROCESSOR_NAME + 1] = "";
  int length = 0, running = bsync_mpi_running();
  if (running < 0) return running;
  if (size <= 0) return -BSYNC_E_ARGUMENT;
  CHECK(MPI_Get_processor_name(name, &length));
  if (length > size - 1) length = size - 1;
  memcpy(text, name, (size_t)length);
  text[length] = '\0';
  return length;
}

int bsync_comm_error(int which)
{
  static const int classes[] = {MPI_ERR_BUFFER, MPI_ERR_COUNT, MPI_ERR_TYPE,
    MPI_ERR_TAG, MPI_ERR_COMM, MPI_ERR_RANK, MPI_ERR_ROOT, MPI_ERR_GROUP,
    MPI_ERR_OP, MPI_ERR_ARG, MPI_ERR_REQUEST};
  int count = (int)(sizeof classes / sizeof *classes);
  return which < 0 || which >= count ? 0 : classes[which];
}

/* ---- Communicators ------------------------------------------------------ */

int bsync_comm_dup(int comm)
{
  MPI_Comm made;
  FIND(on, comm);
  CHECK(MPI_Comm_dup(on, &made));
  return number_for(made);
}

int bsync_comm_split(int comm, int color, int key)
{
  MPI_Comm made;
  FIND(on, comm);
  CHECK(MPI_Comm_split(on, color < 0 ? MPI_UNDEFINED : color, key, &made));
  return number_for(made);
}

int bsync_comm_group(int comm, const int32_t *ranks, int count, int tag)
{
  MPI_Group all, some;
  MPI_Comm made;
  int code;
  FIND(on, comm);
  if (count < 1) return -MPI_ERR_GROUP;
  CHECK(MPI_Comm_group(on, &all));
  code = MPI_Group_incl(all, count, ranks, &some);
  MPI_Group_free(&all);
  if (code != MPI_SUCCESS) return refused(code);
  code = MPI_Comm_create_group(on, some, tag, &made);
  MPI_Group_free(&some);
  if (code != MPI_SUCCESS) return refused(code);
  return number_for(made);
}

int bsync_comm_free(int comm)
{
  FIND(on, comm);
  if (comm == BSYNC_COMM_WORLD) return -MPI_ERR_COMM;
  comms[comm - 1] = MPI_COMM_NULL;
  CHECK(MPI_Comm_free(&on));
  return 0;
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
  code = shape(count, type, &sent);
  if (code < 0) return code;
  return done(&sent, MPI_Send(data, sent.units, sent.type, to, tag, on));
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
  code = shape(bytes, BSYNC_BYTE, &whole);
  if (code < 0) {
    free(memory);
    return -code;
  }
  code = MPI_Recv(memory, whole.units, whole.type, found->MPI_SOURCE,
    found->MPI_TAG, on, found);
  unshape(&whole);
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
  code = shape(count, type, &room);
  if (code < 0) return code;
  code = receive(data, count * widths[type], &room, from,
    tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on, &found);
  if (code == MPI_SUCCESS) code = tell(&found, &room, status);
  else code = refused(code);
  unshape(&room);
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
  code = shape(sent_count, sent_type, &out);
  if (code < 0) return code;
  code = shape(count, type, &in);
  if (code < 0) {
    unshape(&out);
    return code;
  }
  code = exchange(sent, &out, to, sent_tag, data, count * widths[type], &in,
    from, tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on, &found);
  if (code == MPI_SUCCESS) code = tell(&found, &in, status);
  else code = refused(code);
  unshape(&out);
  unshape(&in);
  return code;
}

static int told_probe(int code, MPI_Status *found, double status[3])
{
  struct shape bytes = {MPI_BYTE, 0, 0};
  if (code != MPI_SUCCESS) return refused(code);
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
  int receives;
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
    code = refused(code);
    if (over->request != MPI_REQUEST_NULL) MPI_Request_free(&over->request);
  } else if (over->receives) {
    code = tell(found, &over->shape, status);
  }
  unshape(&over->shape);
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
  code = shape(count, type, &sent);
  if (code < 0) return code;
  code = MPI_Isend(data, sent.units, sent.type, to, tag, on, &request);
  return code == MPI_SUCCESS ? keep(request, &sent, 0) : done(&sent, code);
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
  code = shape(count, type, &room);
  if (code < 0) return code;
  code = MPI_Irecv(data, room.units, room.type, from,
    tag == BSYNC_ANY ? MPI_ANY_TAG : tag, on, &request);
  return code == MPI_SUCCESS ? keep(request, &room, 1) : done(&room, code);
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
    unshape(&left->shape);
    left->next = free_request;
    free_request = i;
  }
}

/* ---- Collectives -------------------------------------------------------- */

int bsync_comm_barrier(int comm)
{
  FIND(on, comm);
  CHECK(MPI_Barrier(on));
  return 0;
}

int bsync_comm_bcast(void *data, int64_t count, int type, int root, int comm)
{
  struct shape part;
  int code;
  FIND(on, comm);
  if (root < 0) return -MPI_ERR_ROOT;
  code = shape(count, type, &part);
  if (code < 0) return code;
  return done(&part, MPI_Bcast(data, part.units, part.type, root, on));
}

#define REDUCE 0
#define ALLREDUCE 1
#define SCAN 2

static int reduce_block(int kind, const void *sent, void *data, int count,
  MPI_Datatype type, MPI_Op op, int root, MPI_Comm on)
{
  switch (kind) {
  case REDUCE: return MPI_Reduce(sent, data, count, type, op, root, on);
  case ALLREDUCE: return MPI_Allreduce(sent, data, count, type, op, on);
  default: return MPI_Scan(sent, data, count, type, op, on);
  }
}

/*
 * MPICH 4.0 crashes where a root other than 0 reduces more than 2 KiB in place:
 * there the root's values are sent from a copy.
 */
static int needs_copy(int kind, int in_place, int root)
{
  return kind == REDUCE && in_place && root > 0 &&
    bsync_mpi_family() == BSYNC_FAMILY_MPICH;
}

static int reduce(int kind, const void *sent, void *data, int64_t count,
  int type, int op, int root, int in_place, int comm)
{
  MPI_Datatype element = datatype(type);
  MPI_Op operator = operation(op);
  int64_t at = 0, block;
  void *copy = NULL;
  int code = MPI_SUCCESS;
  FIND(on, comm);
  if (root < 0) return -MPI_ERR_ROOT;
  if (element == MPI_DATATYPE_NULL) return -MPI_ERR_TYPE;
  if (operator == MPI_OP_NULL) return -MPI_ERR_OP;
  /* The standard's word (6.9.2). MPICH may end the process over it. */
  if (type >= BSYNC_FLOAT && op >= BSYNC_LAND) return -MPI_ERR_OP;
  if (count < 0) return -MPI_ERR_COUNT;
  block = block_of(widths[type]);
  if (needs_copy(kind, in_place, root)) {
    copy = malloc((size_t)((count < block ? count : block) * widths[type]) + 1);
    if (copy == NULL) return -BSYNC_E_MEMORY;
  }
  do {
    char *into = (char *)data + at * widths[type];
    const void *from = (const char *)sent + at * widths[type];
    int now = (int)(count - at < block ? count - at : block);
    if (copy != NULL) from = memcpy(copy, into, (size_t)(now * widths[type]));
    else if (in_place) from = MPI_IN_PLACE;
    code = reduce_block(kind, from, into, now, element, operator, root, on);
    at += now;
  } while (code == MPI_SUCCESS && at < count);
  free(copy);
  return code == MPI_SUCCESS ? 0 : refused(code);
}

int bsync_comm_reduce(const void *sent, void *data, int64_t count, int type,
  int op, int root, int in_place, int comm)
{
  return reduce(REDUCE, sent, data, count, type, op, root, in_place, comm);
}

int bsync_comm_allreduce(const void *sent, void *data, int64_t count, int type,
  int op, int in_place, int comm)
{
  return reduce(ALLREDUCE, sent, data, count, type, op, 0, in_place, comm);
}

int bsync_comm_scan(const void *sent, void *data, int64_t count, int type,
  int op, int in_place, int comm)
{
  return reduce(SCAN, sent, data, count, type, op, 0, in_place, comm);
}

int bsync_comm_gather(const void *sent, void *data, int64_t count, int type,
  int root, int comm)
{
  struct shape part;
  int code;
  FIND(on, comm);
  if (root < 0) return -MPI_ERR_ROOT;
  code = shape(count, type, &part);
  if (code < 0) return code;
  return done(&part, MPI_Gather(sent, part.units, part.type, data, part.units,
    part.type, root, on));
}

int bsync_comm_scatter(const void *sent, void *data, int64_t count, int type,
  int root, int comm)
{
  struct shape part;
  int code;
  FIND(on, comm);
  if (root < 0) return -MPI_ERR_ROOT;
  code = shape(count, type, &part);
  if (code < 0) return code;
  return done(&part, MPI_Scatter(sent, part.units, part.type, data, part.units,
    part.type, root, on));
}

int bsync_comm_allgather(const void *sent, void *data, int64_t count, int type,
  int comm)
{
  struct shape part;
  int code;
  FIND(on, comm);
  code = shape(count, type, &part);
  if (code < 0) return code;
  return done(&part, MPI_Allgather(sent, part.units, part.type, data,
    part.units, part.type, on));
}

int bsync_comm_alltoall(const void *sent, void *data, int64_t count, int type,
  int comm)
{
  struct shape part;
  int code;
  FIND(on, comm);
  code = shape(count, type, &part);
  if (code < 0) return code;
  return done(&part, MPI_Alltoall(sent, part.units, part.type, data,
    part.units, part.type, on));
}

/* ---- Parts of different lengths ----------------------------------------- */

/*
 * Counts and places of every rank as MPI wants them: in 32 bits, of [type],
 * which is [unit] elements in one where they would not fit otherwise.
 */
struct parts {
  MPI_Datatype type;
  int made;
  int *counts;
  int *places;
};

static int64_t common_divisor(int64_t a, int64_t b)
{
  while (b != 0) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static void free_parts(struct parts *parts)
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

/* Returns 0, or what to answer; then there is nothing to free. */
static int parts_of(int size, const double *counts, const double *places,
  int type, struct parts *parts)
{
  int64_t unit;
  struct shape whole;
  int i, code;
  parts->made = 0;
  parts->counts = NULL;
  parts->type = datatype(type);
  if (parts->type == MPI_DATATYPE_NULL) return -MPI_ERR_TYPE;
  for (i = 0; i < size; i++)
    if (counts[i] < 0 || places[i] < 0) return -MPI_ERR_COUNT;
  unit = unit_of(size, counts, places, block_of(widths[type]));
  for (i = 0; i < size; i++)
    if (counts[i] / (double)unit > INT_MAX ||
        places[i] / (double)unit > INT_MAX)
      return -BSYNC_E_LARGE;
  if (unit > 1) {
    code = shape(unit, type, &whole);
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
    free_parts(parts);
    return -BSYNC_E_MEMORY;
  }
  parts->places = parts->counts + size;
  for (i = 0; i < size; i++) {
    parts->counts[i] = (int)((int64_t)counts[i] / unit);
    parts->places[i] = (int)((int64_t)places[i] / unit);
  }
  return 0;
}

static const struct parts no_parts = {MPI_DATATYPE_NULL, 0, NULL, NULL};

/* Is this rank the root, who alone reads counts and places? Else an error. */
static int at_root(int root, MPI_Comm on, int *yes, int *size)
{
  int rank;
  if (root < 0) return -MPI_ERR_ROOT;
  CHECK(MPI_Comm_rank(on, &rank));
  CHECK(MPI_Comm_size(on, size));
  *yes = rank == root;
  return 0;
}

int bsync_comm_gatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, int root, int comm)
{
  struct parts all = no_parts;
  struct shape own;
  int yes, size, code;
  FIND(on, comm);
  code = at_root(root, on, &yes, &size);
  if (code < 0) return code;
  code = shape(count, type, &own);
  if (code < 0) return code;
  if (yes) code = parts_of(size, counts, places, type, &all);
  if (code < 0) {
    unshape(&own);
    return code;
  }
  code = MPI_Gatherv(sent, own.units, own.type, data, all.counts, all.places,
    yes ? all.type : own.type, root, on);
  free_parts(&all);
  return done(&own, code);
}

int bsync_comm_scatterv(const void *sent, const double *counts,
  const double *places, void *data, int64_t count, int type, int root, int comm)
{
  struct parts all = no_parts;
  struct shape own;
  int yes, size, code;
  FIND(on, comm);
  code = at_root(root, on, &yes, &size);
  if (code < 0) return code;
  code = shape(count, type, &own);
  if (code < 0) return code;
  if (yes) code = parts_of(size, counts, places, type, &all);
  if (code < 0) {
    unshape(&own);
    return code;
  }
  code = MPI_Scatterv(sent, all.counts, all.places, yes ? all.type : own.type,
    data, own.units, own.type, root, on);
  free_parts(&all);
  return done(&own, code);
}

int bsync_comm_allgatherv(const void *sent, int64_t count, void *data,
  const double *counts, const double *places, int type, int comm)
{
  struct parts all = no_parts;
  int rank, size, code;
  FIND(on, comm);
  CHECK(MPI_Comm_rank(on, &rank));
  CHECK(MPI_Comm_size(on, &size));
  code = parts_of(size, counts, places, type, &all);
  if (code < 0) return code;
  /* Sent as it is received: Open MPI chooses the way by the type that is sent,
   * and all ranks have to choose the same. */
  if ((double)count != counts[rank]) code = MPI_ERR_COUNT;
  else code = MPI_Allgatherv(sent, all.counts[rank], all.type, data, all.counts,
    all.places, all.type, on);
  free_parts(&all);
  return code == MPI_SUCCESS ? 0 : refused(code);
}

int bsync_comm_alltoallv(const void *sent, const double *sent_counts,
  const double *sent_places, void *data, const double *counts,
  const double *places, int type, int comm)
{
  struct parts out = no_parts, in = no_parts;
  int size, code;
  FIND(on, comm);
  CHECK(MPI_Comm_size(on, &size));
  code = parts_of(size, sent_counts, sent_places, type, &out);
  if (code < 0) return code;
  code = parts_of(size, counts, places, type, &in);
  if (code == 0)
    code = MPI_Alltoallv(sent, out.counts, out.places, out.type, data,
      in.counts, in.places, in.type, on);
  else code = -code;
  free_parts(&out);
  free_parts(&in);
  return code == MPI_SUCCESS ? 0 : refused(code);
}
