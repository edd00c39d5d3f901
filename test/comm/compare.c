/*
 * Does the cases of a file in plain MPI, as compare.ts does them with bsync/mpi, and writes what came
 * of each: the two must be the same.
 *
 *   compare CASES OUT [exact]        rank r writes OUT.r
 *
 * A case is a line: kind type op count root. A result is a line: case, hash of the memory that was
 * received into, and what else there is to tell; or the name of an error.
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPES 11
static const char *type_names[TYPES] = {"Uint8Array", "Int8Array", "Uint8ClampedArray", "Int16Array",
  "Uint16Array", "Int32Array", "Uint32Array", "BigInt64Array", "BigUint64Array", "Float32Array",
  "Float64Array"};
static const int widths[TYPES] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8};
static const int is_signed[TYPES] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1};
static MPI_Datatype types[TYPES], reduced[TYPES];

#define OPS 9
static const char *op_names[OPS] = {"SUM", "PROD", "MIN", "MAX", "LAND", "LOR", "BAND", "BOR", "BXOR"};
static MPI_Op ops[OPS];

static double step = 0.37;
static int rank, size;
static MPI_Comm world;
static FILE *out;

static int find(const char *name, const char *const *names, int count)
{
  for (int i = 0; i < count; i++)
    if (strcmp(name, names[i]) == 0) return i;
  return -1;
}

static void put(void *data, int type, int64_t i, int v)
{
  switch (type) {
  case 0: case 2: ((uint8_t *)data)[i] = (uint8_t)v; break;
  case 1: ((int8_t *)data)[i] = (int8_t)v; break;
  case 3: ((int16_t *)data)[i] = (int16_t)v; break;
  case 4: ((uint16_t *)data)[i] = (uint16_t)v; break;
  case 5: ((int32_t *)data)[i] = v; break;
  case 6: ((uint32_t *)data)[i] = (uint32_t)v; break;
  case 7: ((int64_t *)data)[i] = v; break;
  case 8: ((uint64_t *)data)[i] = (uint64_t)v; break;
  case 9: ((float *)data)[i] = (float)(v * step); break;
  case 10: ((double *)data)[i] = v * step; break;
  }
}

/* What [rank] sends in case [seed]. */
static void *filled(int type, int count, int seed)
{
  void *data = malloc((size_t)count * widths[type] + 1);
  for (int i = 0; i < count; i++)
    put(data, type, i, ((seed + rank) * 31 + i * 7) % 13 - (is_signed[type] ? 6 : 0));
  return data;
}

/* Memory to receive into: what is left of it shows. */
static void *room(int type, int count)
{
  void *data = malloc((size_t)count * widths[type] + 1);
  memset(data, 0xee, (size_t)count * widths[type]);
  return data;
}

static uint32_t hash(const void *data, size_t bytes)
{
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < bytes; i++) h = (h ^ ((const uint8_t *)data)[i]) * 16777619u;
  return h;
}

static void tell(int number, int code, const void *data, int count, int type, const char *more)
{
  if (code != MPI_SUCCESS) {
    int class;
    MPI_Error_class(code, &class);
    fprintf(out, "%d %s\n", number, class == MPI_ERR_OP ? "MPI_ERR_OP" : "another error");
  } else {
    fprintf(out, "%d %08x%s\n", number, hash(data, (size_t)count * widths[type]), more);
  }
}

/* Parts of different lengths, with a gap of one element between them. */
static int part(int count, int r)
{
  return (count + 3 * r) % 11;
}

static int spread(int count, int *counts, int *places)
{
  int end = 0;
  for (int r = 0; r < size; r++) {
    counts[r] = part(count, r);
    places[r] = end;
    end += counts[r] + 1;
  }
  return end;
}

static void run(int number, const char *kind, int type, int op, int count, int root)
{
  MPI_Datatype t = types[type];
  int right = (rank + 1) % size, left = (rank + size - 1) % size;
  char more[64] = "";
  void *sent = NULL, *got = NULL;
  int code = MPI_SUCCESS, length = count;
  int counts[16], places[16], back[16], back_places[16];
  MPI_Status status;
  /* Not to be asked (section 6.9.2): an MPI may end the process over it. */
  if (op >= 4 && type >= 9) return tell(number, MPI_ERR_OP, NULL, 0, type, "");
  if (strcmp(kind, "bcast") == 0) {
    got = filled(type, count, number);
    code = MPI_Bcast(got, count, t, root, world);
  } else if (strcmp(kind, "reduce") == 0) {
    sent = filled(type, count, number);
    got = room(type, count);
    code = MPI_Reduce(sent, got, count, reduced[type], ops[op], root, world);
  } else if (strcmp(kind, "allreduce") == 0) {
    sent = filled(type, count, number);
    got = room(type, count);
    code = MPI_Allreduce(sent, got, count, reduced[type], ops[op], world);
  } else if (strcmp(kind, "reduce-in-place") == 0) {
    /* Not by MPI_IN_PLACE, in which MPICH 4.0 has a fault. */
    sent = filled(type, count, number);
    got = room(type, count);
    code = MPI_Reduce(sent, got, count, reduced[type], ops[op], root, world);
  } else if (strcmp(kind, "allreduce-in-place") == 0) {
    got = filled(type, count, number);
    code = MPI_Allreduce(MPI_IN_PLACE, got, count, reduced[type], ops[op], world);
  } else if (strcmp(kind, "scan") == 0) {
    sent = filled(type, count, number);
    got = room(type, count);
    code = MPI_Scan(sent, got, count, reduced[type], ops[op], world);
  } else if (strcmp(kind, "gather") == 0) {
    sent = filled(type, count, number);
    got = room(type, length = count * size);
    code = MPI_Gather(sent, count, t, got, count, t, root, world);
  } else if (strcmp(kind, "scatter") == 0) {
    sent = filled(type, count * size, number);
    got = room(type, count);
    code = MPI_Scatter(sent, count, t, got, count, t, root, world);
  } else if (strcmp(kind, "allgather") == 0) {
    sent = filled(type, count, number);
    got = room(type, length = count * size);
    code = MPI_Allgather(sent, count, t, got, count, t, world);
  } else if (strcmp(kind, "alltoall") == 0) {
    sent = filled(type, count * size, number);
    got = room(type, length = count * size);
    code = MPI_Alltoall(sent, count, t, got, count, t, world);
  } else if (strcmp(kind, "gatherv") == 0) {
    length = spread(count, counts, places);
    sent = filled(type, counts[rank], number);
    got = room(type, length);
    code = MPI_Gatherv(sent, counts[rank], t, got, counts, places, t, root, world);
  } else if (strcmp(kind, "scatterv") == 0) {
    int whole = spread(count, counts, places);
    sent = filled(type, whole, number);
    got = room(type, length = counts[rank]);
    code = MPI_Scatterv(sent, counts, places, t, got, counts[rank], t, root, world);
  } else if (strcmp(kind, "allgatherv") == 0) {
    length = spread(count, counts, places);
    sent = filled(type, counts[rank], number);
    got = room(type, length);
    code = MPI_Allgatherv(sent, counts[rank], t, got, counts, places, t, world);
  } else if (strcmp(kind, "alltoallv") == 0) {
    /* Rank a sends part(count + a, b) to rank b. */
    int whole = spread(count + rank, counts, places);
    length = 0;
    for (int r = 0; r < size; r++) {
      back[r] = part(count + r, rank);
      back_places[r] = length;
      length += back[r] + 1;
    }
    sent = filled(type, whole, number);
    got = room(type, length);
    code = MPI_Alltoallv(sent, counts, places, t, got, back, back_places, t, world);
  } else if (strcmp(kind, "send") == 0) {
    /* One after the other around the ring. */
    sent = filled(type, count, number);
    got = room(type, length = count + 2);
    if (size == 1) return tell(number, MPI_SUCCESS, sent, count, type, " alone");
    if (rank == 0) code = MPI_Send(sent, count, t, right, number % 100, world);
    MPI_Recv(got, length, t, MPI_ANY_SOURCE, MPI_ANY_TAG, world, &status);
    if (rank != 0) code = MPI_Send(sent, count, t, right, number % 100, world);
  } else if (strcmp(kind, "sendrecv") == 0) {
    sent = filled(type, count, number);
    got = room(type, length = count + 2);
    code = MPI_Sendrecv(sent, count, t, right, 3, got, length, t, left, 3, world, &status);
  } else if (strcmp(kind, "isend") == 0) {
    MPI_Request requests[2];
    MPI_Status both[2];
    sent = filled(type, count, number);
    got = room(type, length = count + 2);
    MPI_Irecv(got, length, t, left, 4, world, &requests[0]);
    MPI_Isend(sent, count, t, right, 4, world, &requests[1]);
    code = MPI_Waitall(2, requests, both);
    status = both[0];
  } else if (strcmp(kind, "probe") == 0) {
    MPI_Request request;
    int bytes;
    sent = filled(type, count, number);
    MPI_Isend(sent, count, t, right, 6, world, &request);
    MPI_Probe(MPI_ANY_SOURCE, 6, world, &status);
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    length = bytes / widths[type];
    got = room(type, length);
    code = MPI_Recv(got, length, t, status.MPI_SOURCE, 6, world, &status);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  } else {
    MPI_Abort(MPI_COMM_WORLD, 9);
  }
  if (strstr("send sendrecv isend probe", kind) != NULL) {
    int came;
    MPI_Get_count(&status, t, &came);
    snprintf(more, sizeof more, " %d %d %d", status.MPI_SOURCE, status.MPI_TAG, came);
  }
  if ((strncmp(kind, "reduce", 6) == 0 || strncmp(kind, "gather", 6) == 0) && rank != root)
    length = 0;
  tell(number, code, got, length, type, more);
  free(sent);
  free(got);
}

int main(int argc, char **argv)
{
  MPI_Init(&argc, &argv);
  MPI_Comm_dup(MPI_COMM_WORLD, &world);
  MPI_Comm_set_errhandler(world, MPI_ERRORS_RETURN);
  MPI_Comm_rank(world, &rank);
  MPI_Comm_size(world, &size);
  MPI_Datatype t[TYPES] = {MPI_BYTE, MPI_INT8_T, MPI_UINT8_T, MPI_INT16_T, MPI_UINT16_T, MPI_INT32_T,
    MPI_UINT32_T, MPI_INT64_T, MPI_UINT64_T, MPI_FLOAT, MPI_DOUBLE};
  MPI_Op o[OPS] = {MPI_SUM, MPI_PROD, MPI_MIN, MPI_MAX, MPI_LAND, MPI_LOR, MPI_BAND, MPI_BOR, MPI_BXOR};
  memcpy(types, t, sizeof t);
  memcpy(reduced, t, sizeof t);
  reduced[0] = MPI_UINT8_T;
  memcpy(ops, o, sizeof o);
  if (argc > 3) step = 0.25;
  char path[4096], kind[32], type[32], op[32];
  int number, count, root;
  snprintf(path, sizeof path, "%s.%d", argv[2], rank);
  FILE *cases = fopen(argv[1], "r");
  out = fopen(path, "w");
  if (cases == NULL || out == NULL) MPI_Abort(MPI_COMM_WORLD, 8);
  while (fscanf(cases, "%d %31s %31s %31s %d %d", &number, kind, type, op, &count, &root) == 6)
    run(number, kind, find(type, type_names, TYPES), find(op, op_names, OPS), count, root);
  fclose(out);
  MPI_Finalize();
  return 0;
}
