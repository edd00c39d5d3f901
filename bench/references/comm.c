/*
 * What programs/comm.ts does with bsync/mpi, in C.
 *
 *   mpicc -O2 comm.c -o comm && mpirun -n 2 ./comm && mpirun -n 4 ./comm
 *
 * Prints one line of JSON: the microseconds of a round trip of 8 bytes and the GB/s each way of 64 MiB
 * between two ranks, and the microseconds of MPI_Allreduce of 1 MiB of doubles on all of them. Small
 * trips and reductions are timed in batches; each number is a median.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  SMALL = 8,
  TRIPS = 1000,
  BATCHES = 200,
  LARGE = 64 << 20,
  LARGE_TRIPS = 9,
  DOUBLES = 1 << 17,
  REDUCTIONS = 10,
  REDUCTION_S = 1,
  FEWEST_BATCHES = 5,
  MOST_BATCHES = 99,
};

static int rank, size;

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *times, int count) {
  qsort(times, count, sizeof *times, ascending);
  return times[count / 2];
}

static double trips(char *buffer, int bytes, int count) {
  double start = MPI_Wtime();
  for (int i = 0; i < count; i++) {
    if (rank == 0) {
      MPI_Send(buffer, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
      MPI_Recv(buffer, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else if (rank == 1) {
      MPI_Recv(buffer, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      MPI_Send(buffer, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    }
  }
  return MPI_Wtime() - start;
}

static double reductions(double *mine, double *sum) {
  MPI_Barrier(MPI_COMM_WORLD);
  double start = MPI_Wtime();
  for (int i = 0; i < REDUCTIONS; i++)
    MPI_Allreduce(mine, sum, DOUBLES, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
  return MPI_Wtime() - start;
}

int main(int argc, char **argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  double times[BATCHES];

  if (size == 2) {
    char *buffer = calloc(LARGE, 1);
    trips(buffer, SMALL, 20 * TRIPS);
    for (int i = 0; i < BATCHES; i++) times[i] = trips(buffer, SMALL, TRIPS) / TRIPS;
    double us = median(times, BATCHES) * 1e6;
    trips(buffer, LARGE, 1);
    for (int i = 0; i < LARGE_TRIPS; i++) times[i] = trips(buffer, LARGE, 1);
    double gbps = 2.0 * LARGE / median(times, LARGE_TRIPS) / 1e9;
    if (rank == 0) printf("{\"us\":%.4f,\"gbps\":%.4f}\n", us, gbps);
    free(buffer);
  } else {
    double *mine = calloc(DOUBLES, sizeof *mine), *sum = calloc(DOUBLES, sizeof *sum);
    reductions(mine, sum);
    double seconds = reductions(mine, sum);
    MPI_Bcast(&seconds, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    double fit = REDUCTION_S / seconds;
    int count = fit < FEWEST_BATCHES ? FEWEST_BATCHES
      : fit > MOST_BATCHES ? MOST_BATCHES : (int)fit;
    for (int i = 0; i < count; i++) times[i] = reductions(mine, sum);
    if (rank == 0) printf("{\"us\":%.2f}\n", median(times, count) / REDUCTIONS * 1e6);
    free(mine);
    free(sum);
  }
  MPI_Finalize();
  return 0;
}
