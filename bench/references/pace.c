/*
 * The floor under a call after a silence: 32 bytes to another process and back, by a pair of
 * sockets, or, compiled with -DPACE_MPI, from rank 0 to rank 1.
 *
 *   pace MS SAMPLES START OFFSET ...      phases as in programs/paces.ts, times on the clock of the day
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef PACE_MPI
#include <mpi.h>
#endif

enum { SIZE = 32, WARM = 1000, END = 1 };

static const double SHARED_MS = 20;

static char message[SIZE];

static double now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return 1e6 * (double)now.tv_sec + (double)now.tv_nsec / 1e3;
}

static void sleep_ms(double ms)
{
    if (ms < 1) ms = 1;
    struct timespec left = {(time_t)(ms / 1e3), (long)(1e6 * ms) % 1000000000L};
    nanosleep(&left, NULL);
}

/* What is left of the time until `at`, in ms of the clock of the day. */
static double until(double at)
{
    return at - now_us(CLOCK_REALTIME) / 1e3;
}

#ifdef PACE_MPI
static void call(void)
{
    MPI_Send(message, SIZE, MPI_CHAR, 1, 0, MPI_COMM_WORLD);
    MPI_Recv(message, SIZE, MPI_CHAR, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

static void serve(void)
{
    do {
        MPI_Recv(message, SIZE, MPI_CHAR, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        MPI_Send(message, SIZE, MPI_CHAR, 0, 0, MPI_COMM_WORLD);
    } while (message[0] != END);
}
#else
static int ends[2];

static void call(void)
{
    if (write(ends[0], message, SIZE) != SIZE || read(ends[0], message, SIZE) != SIZE) exit(1);
}

static void serve(void)
{
    while (read(ends[1], message, SIZE) == SIZE && write(ends[1], message, SIZE) == SIZE)
        ;
}
#endif

static void measure(double ms, int samples, double start, double offset)
{
    printf("\"%g\":[", ms);
    sleep_ms(until(start + offset));
    for (int i = 0; i <= samples; i++) {
        if (ms >= SHARED_MS) sleep_ms(until(start + offset + i * ms));
        else if (ms >= 1) sleep_ms(ms);
        else for (double end = now_us(CLOCK_MONOTONIC) + 1e3 * ms; now_us(CLOCK_MONOTONIC) < end;);
        double begin = now_us(CLOCK_MONOTONIC);
        call();
        if (i > 0) printf("%s%.3f", i > 1 ? "," : "", now_us(CLOCK_MONOTONIC) - begin);
    }
    printf("]");
}

static void sweep(int count, char **phases)
{
    for (int i = 0; i < WARM; i++) call();
    printf("{");
    for (int i = 0; i + 3 < count; i += 4) {
        if (i > 0) printf(",");
        measure(atof(phases[i]), atoi(phases[i + 1]), atof(phases[i + 2]), atof(phases[i + 3]));
    }
    printf("}\n");
}

int main(int argc, char **argv)
{
#ifdef PACE_MPI
    int rank;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 1) serve();
    if (rank == 0) {
        sweep(argc - 1, argv + 1);
        message[0] = END;
        call();
    }
    MPI_Finalize();
#else
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) return 1;
    pid_t child = fork();
    if (child == -1) return 1;
    if (child == 0) {
        close(ends[0]);
        serve();
        _exit(0);
    }
    close(ends[1]);
    sweep(argc - 1, argv + 1);
#endif
    return 0;
}
