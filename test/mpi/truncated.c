/*
 * Messages that are longer than their arrays, in every receive and every
 * collective, on two ranks under AddressSanitizer and UBSan: each array is a
 * piece of memory of just its length. Rank 0 says "sound" at the end.
 */
#include "bsync_comm.h"
#include "bsync_mpi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int rank, comm, is_openmpi;

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "rank %d, line %d: %s\n", rank, __LINE__, #condition);   \
      bsync_mpi_abort(3);                                                      \
    }                                                                          \
  } while (0)

static char *array(int64_t bytes)
{
  char *made = malloc(bytes > 0 ? (size_t)bytes : 1);
  memset(made, 1, bytes > 0 ? (size_t)bytes : 1);
  return made;
}

static int is_truncated(int answer)
{
  char name[64];
  if (answer >= 0) return 0;
  bsync_mpi_error_class(answer, name, sizeof name);
  return strcmp(name, "MPI_ERR_TRUNCATE") == 0;
}

/* ---- Receives ----------------------------------------------------------- */

#define RECV 0
#define SENDRECV 1
#define WAIT 2
#define TEST 3
#define COME 4   /* the message is there before */
#define POSTED 5 /* it comes while the receiver is in a barrier */
#define POOL 6
#define POOL_COME 7
#define RECEIVES 8

static int pool_end(int request)
{
  int answer = request == 0 ? 1 : 0;
  while (answer == 0) answer = bsync_mpi_test(request);
  return answer;
}

static int receive(int how, char *data, int64_t room)
{
  double status[3];
  int32_t found[3];
  char byte = 0;
  int request, answer = 0;
  switch (how) {
  case RECV:
    return bsync_comm_recv(data, room, BSYNC_BYTE, 0, 5, comm, status);
  case SENDRECV:
    return bsync_comm_sendrecv(&byte, 1, BSYNC_BYTE, BSYNC_PROC_NULL, 0, data,
      room, BSYNC_BYTE, 0, 5, comm, status);
  case COME:
    CHECK(bsync_comm_probe(0, 5, comm, status) == 0);
    break;
  case POOL_COME:
    while (bsync_mpi_probe(0, 5, found) == 0) continue;
    break;
  }
  if (how == POOL || how == POOL_COME) {
    request = bsync_mpi_receive(data, (int)room, 0, 5);
    CHECK(request > 0);
    return pool_end(request);
  }
  request = bsync_comm_irecv(data, room, BSYNC_BYTE, 0, 5, comm);
  CHECK(request > 0);
  if (how == POSTED) CHECK(bsync_comm_barrier(comm) == 0);
  if (how != TEST) return bsync_comm_wait(request, status);
  while (answer == 0) answer = bsync_comm_test(request, status);
  return answer;
}

static void send(int how, const char *data, int64_t length)
{
  double status[3];
  int request;
  if (how == POOL || how == POOL_COME) {
    CHECK(pool_end(bsync_mpi_send(data, (int)length, 1, 5)) == 1);
    return;
  }
  request = bsync_comm_isend(data, length, BSYNC_BYTE, 1, 5, comm);
  CHECK(request > 0);
  if (how == POSTED) CHECK(bsync_comm_barrier(comm) == 0);
  CHECK(bsync_comm_wait(request, status) == 1);
}

static void receives(int64_t room, int64_t length)
{
  int how;
  for (how = 0; how < RECEIVES; how++) {
    char *data = array(rank == 0 ? length : room);
    if (rank == 0) send(how, data, length);
    else CHECK(is_truncated(receive(how, data, room)));
    free(data);
  }
}

/* What a rank sends to itself. */
static void alone(int64_t room, int64_t length)
{
  char *sent = array(length), *data = array(room);
  double status[3];
  int out, in;
  out = bsync_comm_isend(sent, length, BSYNC_BYTE, rank, 6, comm);
  CHECK(is_truncated(bsync_comm_recv(data, room, BSYNC_BYTE, rank, 6, comm,
    status)));
  CHECK(bsync_comm_wait(out, status) == 1);
  in = bsync_comm_irecv(data, room, BSYNC_BYTE, rank, 6, comm);
  out = bsync_comm_isend(sent, length, BSYNC_BYTE, rank, 6, comm);
  CHECK(is_truncated(bsync_comm_wait(in, status)));
  CHECK(bsync_comm_wait(out, status) == 1);
  free(sent);
  free(data);
}

/* ---- Collectives: rank 1 has the short array, and is the root that collects - */

#define BCAST 0
#define SCATTER 1
#define SCATTERV 2
#define GATHER 3
#define GATHERV 4
#define ALLGATHER 5
#define ALLGATHERV 6
#define ALLTOALL 7
#define ALLTOALLV 8
#define REDUCE 9
#define ALLREDUCE 10
#define IN_PLACE 11
#define SCAN 12
#define COLLECTIVES 13

static int together(int which, int64_t own, int64_t room, char *sent,
  char *data)
{
  const double counts[2] = {(double)own, (double)own};
  const double expected[2] = {(double)own, (double)room};
  const double places[2] = {0, (double)own};
  const int type = BSYNC_UINT8;
  switch (which) {
  case BCAST: return bsync_comm_bcast(rank == 0 ? sent : data, own, type, 0, comm);
  case SCATTER: return bsync_comm_scatter(sent, data, own, type, 0, comm);
  case SCATTERV:
    return bsync_comm_scatterv(sent, counts, places, data, own, type, 0, comm);
  case GATHER: return bsync_comm_gather(sent, data, own, type, 1, comm);
  case GATHERV:
    return bsync_comm_gatherv(sent, own, data, counts, places, type, 1, comm);
  case ALLGATHER: return bsync_comm_allgather(sent, data, own, type, comm);
  case ALLGATHERV:
    return bsync_comm_allgatherv(sent, own, data, expected, places, type, comm);
  case ALLTOALL: return bsync_comm_alltoall(sent, data, own, type, comm);
  case ALLTOALLV:
    return bsync_comm_alltoallv(sent, counts, places, data, counts, places,
      type, comm);
  case REDUCE:
    return bsync_comm_reduce(sent, data, own, type, BSYNC_SUM, 1, 0, comm);
  case IN_PLACE:
    return bsync_comm_allreduce(data, data, own, type, BSYNC_SUM, 1, comm);
  case SCAN: return bsync_comm_scan(sent, data, own, type, BSYNC_SUM, 0, comm);
  default:
    return bsync_comm_allreduce(sent, data, own, type, BSYNC_SUM, 0, comm);
  }
}

static void collectives(int64_t room, int64_t length)
{
  const int64_t own = rank == 0 ? length : room;
  int which;
  for (which = 0; which < COLLECTIVES; which++) {
    /* One array of each rank's length, or two. */
    const int two = which >= SCATTER && which <= ALLTOALLV;
    char *sent = array(two ? 2 * own : own);
    char *data = array(which == ALLGATHERV ? own + room : two ? 2 * own : own);
    const int world = comm;
    int answer;
    /* Of a communicator that has seen an error MPICH promises nothing. */
    comm = bsync_comm_dup(world);
    CHECK(comm > 0);
    answer = together(which, own, room, sent, data);
    if (rank == 1) CHECK(is_truncated(answer));
    else if (which < REDUCE) CHECK(answer == 0);
    else if (is_openmpi) CHECK(answer < 0 && !is_truncated(answer));
    if (is_openmpi) CHECK(bsync_comm_barrier(comm) == 0);
    if (is_openmpi) CHECK(bsync_comm_free(comm) == 0);
    comm = world;
    free(sent);
    free(data);
  }
}

int main(void)
{
  static const int64_t pairs[][2] = {{0, 1}, {1, 48}, {40, 49}, {48, 200},
    {100, 1000}, {100, 5000}, {4000, 4001}, {10, 20000}, {5000, 60000},
    {100000, 100001}, {3, 3000000}};
  int32_t info[8];
  size_t i;
  CHECK(bsync_mpi_init(20000, 0, 0, info) == 0);
  rank = info[0];
  CHECK(info[1] == 2);
  comm = BSYNC_COMM_WORLD;
  is_openmpi = bsync_mpi_family() == BSYNC_FAMILY_OPENMPI;
  for (i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    receives(pairs[i][0], pairs[i][1]);
    alone(pairs[i][0], pairs[i][1]);
    /* MPICH's own ranks wait for each other where lengths differ by more. */
    if (is_openmpi || pairs[i][1] == 1000)
      collectives(pairs[i][0], pairs[i][1]);
  }
  CHECK(bsync_mpi_pending() == 0);
  while (bsync_mpi_leave() == 0) continue;
  CHECK(bsync_mpi_finalize(0) == 0);
  if (rank == 0) puts("sound");
  return 0;
}
