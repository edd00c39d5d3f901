/*
 * The guard: what keeps Open MPI from writing a message past the end of the
 * array that it is received into.
 *
 * A message longer than its array is MPI_ERR_TRUNCATE, and nothing beyond the
 * array is written (MPI 4.0 section 3.2.4). Open MPI (4.1, and as far as known
 * all of them) writes a message of more than some KiB to its end before it
 * reports the error: the receiver's hardware, or its kernel, is told to fetch
 * all that the sender has (the "get" and "put" of its transports), whatever the
 * room. So
 *
 * - a receive is given to MPI when its message has come, whose length is known
 *   then; or it is given a room that is bounded: a datatype of the array and
 *   of two elements elsewhere. Such a room is no single piece of memory, and
 *   Open MPI copies into it piece by piece, as far as it goes;
 * - in a collective all ranks tell their lengths first, and then all of them
 *   call MPI with the same lengths. An array too short for its part is replaced
 *   by memory that is long enough.
 *
 * Other MPIs need none of it: there the functions of bsync_receive.h are MPI's
 * own, and bsync_comm_agree.h is empty.
 */
#ifndef BSYNC_GUARD_H
#define BSYNC_GUARD_H

#include <mpi.h>

#if defined(OPEN_MPI)
#define BSYNC_GUARDS 1
#else
#define BSYNC_GUARDS 0
#endif

#endif
