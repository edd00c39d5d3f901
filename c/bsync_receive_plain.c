/*
 * Receives under every MPI but Open MPI: its own calls. See bsync_receive.h,
 * which is the manual.
 */
#include "bsync_receive.h"

#include <stddef.h>

#if !BSYNC_GUARDS

int bsync_receive(void *data, int64_t bytes, const struct shape *room,
  int source, int tag, MPI_Comm on, MPI_Status *found)
{
  (void)bytes;
  return MPI_Recv(data, room->units, room->type, source, tag, on, found);
}

static int begin(struct receive *one)
{
  return MPI_Irecv(one->data, one->room.units, one->room.type, one->source,
    one->tag, one->on, &one->request);
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
  *done = 0;
  return MPI_Test(&one->request, done, found);
}

int bsync_receive_wait(struct receive *one, MPI_Status *found)
{
  return MPI_Wait(&one->request, found);
}

int bsync_receive_cancel(struct receive *one, int *cancelled,
  MPI_Status *found)
{
  int code = MPI_Cancel(&one->request);
  *cancelled = 0;
  if (code != MPI_SUCCESS) return code;
  code = MPI_Wait(&one->request, found);
  if (code == MPI_SUCCESS) MPI_Test_cancelled(found, cancelled);
  return code;
}

void bsync_receive_end(struct receive *one)
{
  bsync_receive_free(one);
}

int bsync_iprobe(int source, int tag, MPI_Comm on, int *come,
  MPI_Status *found)
{
  return MPI_Iprobe(source, tag, on, come, found);
}

int bsync_probe(int source, int tag, MPI_Comm on, MPI_Status *found)
{
  return MPI_Probe(source, tag, on, found);
}

int bsync_send(const void *data, const struct shape *sent, int dest, int tag,
  MPI_Comm on)
{
  return MPI_Send(data, sent->units, sent->type, dest, tag, on);
}

int bsync_test(MPI_Request *request, int *done, MPI_Status *found)
{
  return MPI_Test(request, done, found);
}

int bsync_settle(MPI_Request *request, MPI_Status *found)
{
  return MPI_Wait(request, found);
}

void bsync_post(void)
{
}

#endif
