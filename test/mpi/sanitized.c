/*
 * The shim in its every corner, to be run on two ranks under AddressSanitizer
 * and UBSan: whatever it does to memory that is not its own ends the job. It
 * checks answers, too: rank 0 says "sound" at the end.
 */
#include "bsync_mpi.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static int rank;

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "rank %d, line %d: %s\n", rank, __LINE__, #condition);   \
      bsync_mpi_abort(3);                                                      \
    }                                                                          \
  } while (0)

static uint32_t seed = 12345;

static uint32_t next_random(void)
{
  seed ^= seed << 13;
  seed ^= seed >> 17;
  seed ^= seed << 5;
  return seed;
}

/* A number that is likely to hurt. */
static int nasty(void)
{
  static const int some[] = {0, 1, -1, 2, -2, INT_MAX, INT_MIN, INT_MAX - 1,
    INT_MIN + 1, 64, 65, 1024, 4000, 4001};
  uint32_t word = next_random();
  return word % 3 ? some[word / 3 % (sizeof some / sizeof *some)] : (int)word;
}

/* Blocks until a request is done; its answer. */
static int finish(int request)
{
  int answer = 0;
  if (request == 0) return 1;
  while (answer == 0) answer = bsync_mpi_test(request);
  return answer;
}

/* Everything, while MPI does not run: [code] is the answer. */
static void when_closed(int code)
{
  char byte[1];
  int32_t status[3] = {7, 7, 7};
  CHECK(bsync_mpi_poll(byte, 1, status) == -code);
  CHECK(bsync_mpi_probe(0, 0, status) == -code);
  CHECK(bsync_mpi_receive(byte, 1, 0, 0) == -code);
  CHECK(bsync_mpi_send(byte, 1, 0, 0) == -code);
  CHECK(bsync_mpi_test(1) == -code);
  CHECK(bsync_mpi_wait(1, 1, 1, 1) == -code);
  CHECK(bsync_mpi_leave() == -code);
  CHECK(bsync_mpi_running() == -code);
  CHECK(bsync_mpi_pending() == 0);
  CHECK(status[0] == 7 && status[1] == 7 && status[2] == 7);
}

/*
 * Texts are cut to fit, and end where they have to: each buffer is exact. MPI
 * itself may be asked about its own codes only.
 */
static void texts(int running)
{
  int size, i;
  for (size = -1; size < 200; size += size < 8 ? 1 : 61) {
    char *text = malloc(size > 0 ? (size_t)size : 1);
    for (i = 0; i < 60; i++) {
      int length = bsync_mpi_error_text(i < 40 || running ? i % 40 : nasty(), text,
        size);
      CHECK(size <= 0 ? length < 0 : length < size && text[length] == '\0');
    }
    for (i = 0; i < 60; i++)
      CHECK(bsync_mpi_error_class(i < 40 || running ? i % 40 : nasty(), text,
        size) < (size > 0 ? size : 0));
    for (i = BSYNC_E_FRESH; i <= BSYNC_E_ARGUMENT; i++)
      CHECK(bsync_mpi_error_text(-i, text, size) < (size > 0 ? size : 0));
    CHECK(bsync_mpi_library_version(text, size) < (size > 0 ? size : 0));
    CHECK(bsync_mpi_variable(running ? 0 : nasty(), text, size) < (size > 0 ? size : 0));
    CHECK(bsync_mpi_variable(INT_MAX, text, size) < 0);
    free(text);
  }
}

/* The names of hosts, which are known from the start on, and for good. */
static void hosts(int known)
{
  char text[BSYNC_HOST] = "-";
  const int length = bsync_mpi_host(1, text, sizeof text);
  CHECK(known ? length > 0 : length == -BSYNC_E_FRESH);
  CHECK(known ? (size_t)length == strlen(text) : strcmp(text, "-") == 0);
  if (!known) return;
  CHECK(bsync_mpi_host(2, text, sizeof text) == -BSYNC_E_ARGUMENT);
  CHECK(bsync_mpi_host(-1, text, sizeof text) == -BSYNC_E_ARGUMENT);
  CHECK(bsync_mpi_host(1, text, 0) == -BSYNC_E_ARGUMENT);
  CHECK(bsync_mpi_host(1, text, 1) == 0 && text[0] == '\0');
}

/* Arguments that cannot be: an error, and nothing is touched. */
static void mistakes(void)
{
  char byte[1] = {0};
  int32_t status[3];
  int i, before = bsync_mpi_pending();
  CHECK(bsync_mpi_send(byte, -1, 0, 0) == -BSYNC_E_ARGUMENT);
  CHECK(bsync_mpi_send(byte, INT_MIN, 0, 0) == -BSYNC_E_ARGUMENT);
  CHECK(bsync_mpi_send(byte, 1, -1, 0) == -BSYNC_E_ARGUMENT);
  CHECK(bsync_mpi_send(byte, 1, 0, INT_MIN) == -BSYNC_E_ARGUMENT);
  CHECK(bsync_mpi_send(byte, 1, 99, 0) < 0);
  CHECK(bsync_mpi_receive(byte, -1, 0, 0) == -BSYNC_E_ARGUMENT);
  CHECK(bsync_mpi_receive(byte, 1, -2, 0) == -BSYNC_E_ARGUMENT);
  CHECK(bsync_mpi_receive(byte, 1, 99, 0) < 0);
  CHECK(bsync_mpi_probe(INT_MIN, 0, status) == -BSYNC_E_ARGUMENT);
  CHECK(bsync_mpi_probe(0, -2, status) == -BSYNC_E_ARGUMENT);
  for (i = 0; i < 10000; i++) {
    int request = nasty();
    CHECK(bsync_mpi_test(request) == -BSYNC_E_REQUEST);
  }
  CHECK(bsync_mpi_pending() == before);
}

/* Sizes on either side of each limit, into memory that is exactly that long. */
static void ping_pong(void)
{
  static const int sizes[] = {0, 1, BSYNC_COPY - 1, BSYNC_COPY, BSYNC_COPY + 1,
    BSYNC_SMALL - 1, BSYNC_SMALL, BSYNC_SMALL + 1, 65536, 1 << 20};
  int32_t status[3];
  size_t i;
  int found, at;
  for (i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    int size = sizes[i];
    unsigned char *bytes = malloc(size > 0 ? (size_t)size : 1);
    if (rank == 0) {
      for (at = 0; at < size; at++) bytes[at] = (unsigned char)(at * 7 + size);
      CHECK(finish(bsync_mpi_send(bytes, size, 1, 5)) == 1);
      memset(bytes, 0, (size_t)size);
    }
    while ((found = bsync_mpi_poll(bytes, size, status)) == 0)
      CHECK(bsync_mpi_wait(10, 10, 100, 1000) >= 0);
    CHECK(status[0] == 1 - rank && status[1] == 5 && status[2] == size);
    CHECK(found == (size > BSYNC_SMALL ? 2 : 1));
    if (found == 2) CHECK(finish(bsync_mpi_receive(bytes, size, status[0], 5)) == 1);
    for (at = 0; at < size; at++)
      CHECK(bytes[at] == (unsigned char)(at * 7 + size));
    if (rank == 1) CHECK(finish(bsync_mpi_send(bytes, size, 0, 5)) == 1);
    free(bytes);
  }
}

/* A message that is too long for its receive: an error, and no byte more. */
static void truncated(void)
{
  char *bytes = calloc(1, 3000);
  if (rank == 0) {
    CHECK(finish(bsync_mpi_send(bytes, 3000, 1, 6)) == 1);
  } else {
    char *few = malloc(10);
    CHECK(finish(bsync_mpi_receive(few, 10, 0, 6)) < 0);
    free(few);
  }
  free(bytes);
}

/* More at once than there are slots at first, done in any order. */
static void many(void)
{
  enum { COUNT = 700, BYTES = 100 };
  static int requests[COUNT];
  static char buffers[COUNT][BYTES];
  int i, left = 0;
  for (i = 0; i < COUNT; i++) {
    memset(buffers[i], i % 100, BYTES);
    requests[i] = rank == 0 ? bsync_mpi_send(buffers[i], BYTES, 1, 1000 + i)
                            : bsync_mpi_receive(buffers[i], BYTES, 0, 1000 + i);
    CHECK(requests[i] >= 0);
    left += requests[i] > 0;
  }
  CHECK(bsync_mpi_pending() == left);
  while (left > 0) {
    i = (int)(next_random() % COUNT);
    if (requests[i] == 0) continue;
    switch (bsync_mpi_test(requests[i])) {
    case 0: continue;
    case 1: break;
    default: CHECK(0);
    }
    requests[i] = 0;
    left--;
  }
  CHECK(bsync_mpi_pending() == 0);
  for (i = 0; i < COUNT; i++) CHECK(buffers[i][BYTES - 1] == i % 100);
}

static volatile sig_atomic_t rang;

static void ring(int number)
{
  (void)number;
  rang = 1;
}

/* Waits of any length end; a signal ends a nap. */
static void waits(void)
{
  struct itimerval soon = {{0, 0}, {0, 20000}};
  struct sigaction action;
  int i;
  memset(&action, 0, sizeof action);
  action.sa_handler = ring;
  sigaction(SIGALRM, &action, NULL);
  setitimer(ITIMER_REAL, &soon, NULL);
  CHECK(bsync_mpi_wait(0, 0, 50000000, 50000000) == 0 && rang);
  for (i = 0; i < 50; i++)
    CHECK(bsync_mpi_wait(nasty(), nasty(), (int)(next_random() % 100),
      (int)(next_random() % 2000)) == 0);
  CHECK(bsync_mpi_wait(INT_MAX, INT_MAX, INT_MAX, 0) == 0);
  CHECK(bsync_mpi_wait(0, INT_MIN, 100, INT_MIN) == 0);
}

int main(void)
{
  int32_t info[8], again[8];
  int parted;
  CHECK(bsync_mpi_abi() == BSYNC_MPI_ABI);
  CHECK(bsync_mpi_family() != BSYNC_FAMILY_UNKNOWN);
  when_closed(BSYNC_E_FRESH);
  texts(0);
  hosts(0);
  CHECK(bsync_mpi_init(20000, 0, 0, info) == 0);
  CHECK(bsync_mpi_init(20000, 0, 0, again) == 0);
  CHECK(memcmp(info, again, sizeof info) == 0);
  rank = info[0];
  CHECK(info[1] == 2 && info[2] >= 32767 && info[3] == 2 && info[7] == BSYNC_SMALL);
  texts(1);
  hosts(1);
  mistakes();
  ping_pong();
  truncated();
  many();
  mistakes();
  if (rank == 0) waits(); /* the other one has nothing to say before it hears */
  ping_pong();
  CHECK(bsync_mpi_pending() == 0);
  do parted = bsync_mpi_leave();
  while (parted == 0);
  CHECK(parted == 1 && bsync_mpi_leave() == 1);
  CHECK(bsync_mpi_finalize(0) == 0);
  CHECK(bsync_mpi_finalize(0) == 0);
  CHECK(bsync_mpi_init(20000, 0, 0, info) == -BSYNC_E_CLOSED);
  when_closed(BSYNC_E_CLOSED);
  texts(0);
  hosts(1);
  if (rank == 0) puts("sound");
  return 0;
}
