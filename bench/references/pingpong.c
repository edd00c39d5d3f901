/*
 * What MPI itself takes, from C: rank 0 sends to rank 1 and gets it back.
 *
 *   mpicc -O2 pingpong.c -o pingpong && mpirun -n 2 ./pingpong
 *
 * Prints one line of JSON: the milliseconds of MPI_Init, the microseconds of a round trip of 32
 * bytes (the median of batches, so that the clock is no part of it), and the GB/s each way of
 * 64 MiB (the median of single round trips).
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
  SMALL = 32,
  TRIPS = 200,
  WARM_BATCHES = 100,
  BATCHES = 500,
  LARGE = 64 << 20,
  LARGE_TRIPS = 5,
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *times, int count) {
  qsort(times, count, sizeof *times, ascending);
  return times[count / 2];
}

static void trips(int rank, char *buffer, int bytes, int count) {
  for (int i = 0; i < count; i++) {
    if (rank == 0) {
      MPI_Send(buffer, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD);
      MPI_Recv(buffer, bytes, MPI_BYTE, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    } else if (rank == 1) {
      MPI_Recv(buffer, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
      MPI_Send(buffer, bytes, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    }
  }
}

/* Where others keep the cores busy, a trip takes a thousand times longer: then fewer have to do. */
static const double most_seconds = 1.5;

/* Batches of small trips, until there are enough or time is up: rank 0 decides. How many it were. */
static int batches(int rank, char *buffer, double *times, int most) {
  double begin = now();
  for (int count = 0;; count++) {
    int go = count < most && now() - begin < most_seconds;
    MPI_Bcast(&go, 1, MPI_INT, 0, MPI_COMM_WORLD);
    if (!go) return count;
    double start = now();
    trips(rank, buffer, SMALL, TRIPS);
    times[count] = now() - start;
  }
}

int main(int argc, char **argv) {
  double start = now();
  MPI_Init(&argc, &argv);
  double init = now() - start;
  int rank, size;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  if (size != 2) {
    fprintf(stderr, "%d ranks instead of 2\n", size);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }

  char *buffer = malloc(LARGE);
  if (buffer == NULL) MPI_Abort(MPI_COMM_WORLD, 1);
  memset(buffer, rank, LARGE);

  double times[BATCHES];
  batches(rank, buffer, times, WARM_BATCHES);
  int count = batches(rank, buffer, times, BATCHES);
  double us = median(times, count) / TRIPS * 1e6;

  trips(rank, buffer, LARGE, 1);
  for (int i = 0; i < LARGE_TRIPS; i++) {
    start = now();
    trips(rank, buffer, LARGE, 1);
    times[i] = now() - start;
  }
  double gbps = 2.0 * LARGE / median(times, LARGE_TRIPS) / 1e9;

  if (rank == 0) printf("{\"ms\":%.3f,\"us\":%.4f,\"gbps\":%.4f}\n", init * 1e3, us, gbps);
  free(buffer);
  MPI_Finalize();
  return 0;
}
