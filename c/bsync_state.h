/*
 * bsync_state: whether MPI runs in this process, the communicators of the
 * pools, and the size of the job; and the answers that every file gives. Only
 * bsync_start.c and bsync_end.c write here, the others read.
 *
 * Each call from JavaScript asks first whether MPI runs, and must not pay for
 * it: the functions are inline, and the state is hidden, so that no other
 * library can replace it and the compiler knows its address.
 */
#ifndef BSYNC_STATE_H
#define BSYNC_STATE_H

#include "bsync_codes.h"

#include <mpi.h>
#include <stdint.h>

enum bsync_phase { BSYNC_FRESH, BSYNC_OPEN, BSYNC_CLOSED };

struct bsync_state {
  enum bsync_phase phase;
  int is_ours;       /* bsync started MPI, and so has to end it */
  MPI_Comm comm;     /* of the pools: all ranks */
  MPI_Comm programs; /* all ranks but C programs */
  int size;          /* number of ranks, */
  int size_on_host;  /* and of those on this host */
  char *hosts;       /* names of hosts, by rank, BSYNC_HOST bytes each */
};

extern struct bsync_state bsync_state __attribute__((visibility("hidden")));

static inline int bsync_is_open(void)
{
  return bsync_state.phase == BSYNC_OPEN;
}

/* The answer of a function that MPI has to run for, where it does not. */
static inline int bsync_not_open(void)
{
  return bsync_state.phase == BSYNC_FRESH ? -BSYNC_E_FRESH : -BSYNC_E_CLOSED;
}

/* The answer for an error code of MPI's. */
static inline int bsync_refused(int code)
{
  return code > 0 ? -code : -MPI_ERR_OTHER;
}

/* Leaves the function with an error of MPI's. */
#define CHECK(call)                                                            \
  do {                                                                         \
    int code_ = (call);                                                        \
    if (code_ != MPI_SUCCESS) return bsync_refused(code_);                     \
  } while (0)

/* The BSYNC_FAMILY_ whose mpi.h this is compiled against. */
#if defined(OPEN_MPI)
#define BSYNC_FAMILY BSYNC_FAMILY_OPENMPI
#elif defined(MPICH_VERSION) || defined(MPICH_NUMVERSION) ||                   \
  defined(I_MPI_VERSION) || defined(MVAPICH2_VERSION)
#define BSYNC_FAMILY BSYNC_FAMILY_MPICH
#else
#define BSYNC_FAMILY BSYNC_FAMILY_UNKNOWN
#endif

/* Whether all ranks of [on] are programs of bsync. */
int bsync_all_programs(MPI_Comm on);

#endif
