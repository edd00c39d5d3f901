/*
 * The messages of pools, their requests, and the wait for a message: the path
 * of every call of a pool over MPI. See bsync_mpi.h, which is the manual.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* clock_gettime, nanosleep */
#endif
#include "bsync_mpi.h"

#include "bsync_receive.h"
#include "bsync_state.h"
#include "bsync_time.h"

#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* ---- Requests ----------------------------------------------------------- */

/*
 * Request n is slot n - 1. Free slots form a list through [next]; a slot in
 * use has next == USED. [copy] belongs to the slot and serves again.
 */
#define USED (-2)
#define NONE (-1)

struct slot {
  MPI_Request request;     /* of a send */
  struct receive *receive; /* of a receive; else null */
  int next;
  char *copy;
};

static struct slot *slots;
static int slot_count;
static int free_slot = NONE;
static int pending;

static int more_slots(void)
{
  int i, count = slot_count == 0 ? 64 : 2 * slot_count;
  struct slot *grown = realloc(slots, (size_t)count * sizeof *grown);
  if (grown == NULL) return -BSYNC_E_MEMORY;
  slots = grown;
  for (i = slot_count; i < count; i++) {
    slots[i].request = MPI_REQUEST_NULL;
    slots[i].receive = NULL;
    slots[i].next = i + 1 < count ? i + 1 : NONE;
    slots[i].copy = NULL;
  }
  free_slot = slot_count;
  slot_count = count;
  return 0;
}

static void take(struct slot *slot)
{
  free_slot = slot->next;
  slot->next = USED;
  pending++;
}

static void give_back(int index)
{
  if (slots[index].receive != NULL) bsync_receive_end(slots[index].receive);
  slots[index].receive = NULL;
  slots[index].next = free_slot;
  free_slot = index;
  pending--;
}

int bsync_mpi_pending(void)
{
  return bsync_is_open() ? pending : 0;
}

int bsync_mpi_test(int request)
{
  MPI_Status found;
  int index, done = 0, code;
  if (!bsync_is_open()) return bsync_not_open();
  if (request < 1 || request > slot_count || slots[request - 1].next != USED)
    return -BSYNC_E_REQUEST;
  index = request - 1;
  code = slots[index].receive != NULL
    ? bsync_receive_test(slots[index].receive, &done, &found)
    : bsync_test(&slots[index].request, &done, MPI_STATUS_IGNORE);
  if (code == MPI_SUCCESS && !done) return 0;
  if (code != MPI_SUCCESS && slots[index].request != MPI_REQUEST_NULL)
    MPI_Request_free(&slots[index].request);
  give_back(index);
  return code == MPI_SUCCESS ? 1 : bsync_refused(code);
}

/* ---- Messages ----------------------------------------------------------- */

/* Returns 1 and [status] when there is such a message, else 0. */
static int look(int source, int tag, int32_t status[3])
{
  MPI_Status found;
  int flag = 0, bytes = 0, code;
  code = bsync_iprobe(source == BSYNC_ANY ? MPI_ANY_SOURCE : source,
    tag == BSYNC_ANY ? MPI_ANY_TAG : tag, bsync_state.comm, &flag, &found);
  if (code != MPI_SUCCESS) return bsync_refused(code);
  if (!flag) return 0;
  code = MPI_Get_count(&found, MPI_BYTE, &bytes);
  if (code != MPI_SUCCESS) return bsync_refused(code);
  status[0] = found.MPI_SOURCE;
  status[1] = found.MPI_TAG;
  status[2] = bytes;
  return 1;
}

int bsync_mpi_poll(void *buffer, int capacity, int32_t status[3])
{
  int code;
  if (!bsync_is_open()) return bsync_not_open();
  code = look(BSYNC_ANY, BSYNC_ANY, status);
  if (code != 1) return code;
  if (status[2] > capacity || status[2] > BSYNC_SMALL) return 2;
  /* There is one thread: nobody else can have taken the probed message. */
  code = MPI_Recv(buffer, status[2], MPI_BYTE, status[0], status[1],
    bsync_state.comm, MPI_STATUS_IGNORE);
  return code == MPI_SUCCESS ? 1 : bsync_refused(code);
}

int bsync_mpi_probe(int source, int tag, int32_t status[3])
{
  if (!bsync_is_open()) return bsync_not_open();
  if (source < BSYNC_ANY || tag < BSYNC_ANY) return -BSYNC_E_ARGUMENT;
  return look(source, tag, status);
}

int bsync_mpi_receive(void *buffer, int bytes, int source, int tag)
{
  struct slot *slot;
  int code;
  if (!bsync_is_open()) return bsync_not_open();
  if (bytes < 0 || source < BSYNC_ANY || tag < BSYNC_ANY)
    return -BSYNC_E_ARGUMENT;
  if (free_slot == NONE && more_slots() < 0) return -BSYNC_E_MEMORY;
  slot = &slots[free_slot];
  code = bsync_receive_start(&slot->receive, buffer, bytes, BSYNC_BYTE,
    source == BSYNC_ANY ? MPI_ANY_SOURCE : source,
    tag == BSYNC_ANY ? MPI_ANY_TAG : tag, bsync_state.comm);
  if (code != MPI_SUCCESS) return bsync_refused(code);
  take(slot);
  return (int)(slot - slots) + 1;
}

int bsync_mpi_send(const void *buffer, int bytes, int dest, int tag)
{
  struct slot *slot;
  int done = 0, code;
  if (!bsync_is_open()) return bsync_not_open();
  /* A rank below 0 is a constant of the family, such as MPI_PROC_NULL. */
  if (bytes < 0 || dest < 0 || tag < 0) return -BSYNC_E_ARGUMENT;
  if (free_slot == NONE && more_slots() < 0) return -BSYNC_E_MEMORY;
  slot = &slots[free_slot];
  if (bytes <= BSYNC_COPY) {
    if (slot->copy == NULL) slot->copy = malloc(BSYNC_COPY);
    if (slot->copy == NULL) return -BSYNC_E_MEMORY;
    memcpy(slot->copy, buffer, (size_t)bytes);
    buffer = slot->copy;
  }
  code = MPI_Isend(buffer, bytes, MPI_BYTE, dest, tag, bsync_state.comm,
    &slot->request);
  if (code != MPI_SUCCESS) return bsync_refused(code);
  code = MPI_Test(&slot->request, &done, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS) {
    if (slot->request != MPI_REQUEST_NULL) MPI_Request_free(&slot->request);
    return bsync_refused(code);
  }
  if (done) return 0;
  take(slot);
  return (int)(slot - slots) + 1;
}

/* ---- Waiting ------------------------------------------------------------ */

int bsync_mpi_wait(int spin_us, int yield_us, int nap_us, int total_us)
{
  int64_t passed, begin;
  int32_t status[3];
  int i, found;
  if (!bsync_is_open()) return bsync_not_open();
  begin = bsync_now_us();
  for (;;) {
    /* Eight looks to one at the clock, which costs as much as a look. Two at
     * least: MPICH finds a message that has just come at the second look. */
    for (i = 0; i < 8; i++) {
      found = look(BSYNC_ANY, BSYNC_ANY, status);
      if (found != 0) return found;
      if (i == 1 && spin_us == 0) break;
    }
    passed = bsync_now_us() - begin;
    if (passed >= total_us) return 0;
    if (passed < spin_us) continue;
    if (passed < (int64_t)spin_us + yield_us) {
      sched_yield();
      continue;
    }
    spin_us = 0;
    if (nap_us > total_us - passed) nap_us = (int)(total_us - passed);
    if (bsync_nap(nap_us) < 0) return 0;
  }
}
