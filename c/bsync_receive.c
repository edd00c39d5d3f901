/* The memory of receives: see bsync_receive.h, which is the manual. */
#include "bsync_receive.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* The memory of receives that are over serves again. */
static struct receive *spare_receives;

int bsync_receive_make(struct receive **made, void *data, int64_t count,
  int type, int source, int tag, MPI_Comm on)
{
  struct receive *one = spare_receives;
  int code;
  if (one != NULL) spare_receives = one->after;
  else one = malloc(sizeof *one);
  if (one == NULL) return BSYNC_E_MEMORY;
  memset(one, 0, offsetof(struct receive, little));
  one->request = MPI_REQUEST_NULL;
  one->on = on;
  one->source = source;
  one->tag = tag;
  one->data = data;
  code = -bsync_shape_of(count, type, &one->room);
  if (code == MPI_SUCCESS) {
    one->bytes = count * bsync_widths[type];
    *made = one;
  } else {
    bsync_receive_free(one);
  }
  return code;
}

void bsync_receive_free(struct receive *one)
{
  if (one->request != MPI_REQUEST_NULL) MPI_Request_free(&one->request);
  bsync_unshape(&one->room);
  one->after = spare_receives;
  spare_receives = one;
}
