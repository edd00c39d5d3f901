/*
 * What programs/share.ts does with pool.share, in C: a broadcast of 256 MiB into new memory.
 *
 *   mpicc -O2 broadcast.c -o broadcast && mpirun -n 2 ./broadcast
 *
 * Prints one line of JSON: the GB/s, a median.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 256 << 20, ROUNDS = 7 };

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  char *original = rank == 0 ? malloc(BYTES) : NULL;
  if (rank == 0) memset(original, 1, BYTES);
  double times[ROUNDS];
  for (int i = 0; i < ROUNDS; i++) {
    MPI_Barrier(MPI_COMM_WORLD);
    double start = MPI_Wtime();
    char *bytes = rank == 0 ? original : malloc(BYTES);
    MPI_Bcast(bytes, BYTES, MPI_BYTE, 0, MPI_COMM_WORLD);
    MPI_Barrier(MPI_COMM_WORLD);
    times[i] = MPI_Wtime() - start;
    if (rank != 0) free(bytes);
  }
  qsort(times, ROUNDS, sizeof *times, ascending);
  if (rank == 0) printf("{\"gbps\":%.4f}\n", BYTES / times[ROUNDS / 2] / 1e9);
  free(original);
  MPI_Finalize();
}
