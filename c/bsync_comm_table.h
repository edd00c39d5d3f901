/*
 * bsync_comm_table: the numbers that stand for communicators.
 */
#ifndef BSYNC_COMM_TABLE_H
#define BSYNC_COMM_TABLE_H

#include <mpi.h>

/*
 * A number for a communicator that was made, whose errors are returned from now
 * on. 0 for MPI_COMM_NULL; where there is no memory [made] is freed.
 */
int bsync_number_for(MPI_Comm made);

/* The communicator of that number, or MPI_COMM_NULL and the [answer]. */
MPI_Comm bsync_find_comm(int comm, int *answer);

/* Declares [mpi_comm], or leaves the function with the answer. */
#define FIND(mpi_comm, number)                                                 \
  int found_;                                                                  \
  MPI_Comm mpi_comm = bsync_find_comm(number, &found_);                        \
  if (found_ < 0) return found_

/* Makes that number, of an open communicator, free again. */
void bsync_forget_comm(int comm);

/*
 * Whether the ranks of [comm] tell their lengths before they do something
 * together: not where C programs are among them, which say nothing.
 */
int bsync_agrees(int comm);

#endif
