/*
 * Names and texts: of the ABI, the library, its variables, its errors, and the
 * hosts. See bsync_mpi.h, which is the manual.
 */
#include "bsync_mpi.h"

#include "bsync_state.h"

#include <limits.h>
#include <mpi.h>
#include <stdio.h>
#include <string.h>

int bsync_mpi_abi(void)
{
  return BSYNC_MPI_ABI;
}

int bsync_mpi_family(void)
{
  return BSYNC_FAMILY;
}

static int put(const char *from, char *text, int size)
{
  if (size <= 0) return -BSYNC_E_ARGUMENT;
  snprintf(text, (size_t)size, "%s", from);
  return (int)strlen(text);
}

static const char *own_text(int code)
{
  switch (code) {
  case BSYNC_E_FRESH: return "MPI was not started in this process";
  case BSYNC_E_CLOSED: return "MPI has ended in this process";
  case BSYNC_E_REQUEST: return "no such request";
  case BSYNC_E_MEMORY: return "out of memory";
  case BSYNC_E_ARGUMENT: return "negative length, rank or tag";
  case BSYNC_E_LARGE:
    return "too much to be counted in 32 bits: use parts of equal length";
  default: return NULL;
  }
}

int bsync_mpi_host(int rank, char *text, int size)
{
  if (bsync_state.hosts == NULL) return bsync_not_open();
  if (rank < 0 || rank >= bsync_state.size) return -BSYNC_E_ARGUMENT;
  return put(bsync_state.hosts + rank * BSYNC_HOST, text, size);
}

/* Not [bsync_is_open]: the error of a start that failed has a text, too. */
static int mpi_runs(void)
{
  int started = 0, over = 0;
  MPI_Initialized(&started);
  MPI_Finalized(&over);
  return started && !over;
}

int bsync_mpi_error_text(int code, char *text, int size)
{
  char from[MPI_MAX_ERROR_STRING + 1] = "";
  int length = 0;
  if (code < 0) code = code < -INT_MAX ? INT_MAX : -code;
  if (own_text(code) != NULL) return put(own_text(code), text, size);
  if (!mpi_runs() || MPI_Error_string(code, from, &length) != MPI_SUCCESS)
    snprintf(from, sizeof from, "MPI error %d", code);
  return put(from, text, size);
}

int bsync_mpi_error_class(int code, char *text, int size)
{
#define NAMED(name) {name, #name}
  static const struct {
    int class;
    const char *name;
  } classes[] = {NAMED(MPI_ERR_BUFFER), NAMED(MPI_ERR_COUNT),
    NAMED(MPI_ERR_TYPE), NAMED(MPI_ERR_TAG), NAMED(MPI_ERR_COMM),
    NAMED(MPI_ERR_RANK), NAMED(MPI_ERR_REQUEST), NAMED(MPI_ERR_ROOT),
    NAMED(MPI_ERR_GROUP), NAMED(MPI_ERR_OP), NAMED(MPI_ERR_TOPOLOGY),
    NAMED(MPI_ERR_DIMS), NAMED(MPI_ERR_ARG), NAMED(MPI_ERR_UNKNOWN),
    NAMED(MPI_ERR_TRUNCATE), NAMED(MPI_ERR_OTHER), NAMED(MPI_ERR_INTERN),
    NAMED(MPI_ERR_IN_STATUS), NAMED(MPI_ERR_PENDING), NAMED(MPI_ERR_NO_MEM)};
#undef NAMED
  int class = 0;
  size_t i;
  if (code < 0) code = code < -INT_MAX ? INT_MAX : -code;
  if (own_text(code) == NULL && mpi_runs() &&
    MPI_Error_class(code, &class) == MPI_SUCCESS)
    for (i = 0; i < sizeof classes / sizeof *classes; i++)
      if (classes[i].class == class) return put(classes[i].name, text, size);
  return put("", text, size);
}

static int tools; /* was MPI_T started? */

int bsync_mpi_variable(int index, char *text, int size)
{
  int level, count = 0, length = size, verbosity, binding, scope, code;
  MPI_Datatype type;
  if (!bsync_is_open()) return bsync_not_open();
  if (index < 0 || size <= 0) return -BSYNC_E_ARGUMENT;
  /* For good: MPICH 4.0 does not survive to begin with it a second time. */
  if (!tools) {
    code = MPI_T_init_thread(MPI_THREAD_FUNNELED, &level);
    if (code != MPI_SUCCESS) return bsync_refused(code);
    tools = 1;
  }
  MPI_T_cvar_get_num(&count);
  text[0] = '\0';
  if (index < count &&
      MPI_T_cvar_get_info(index, text, &length, &verbosity, &type, NULL,
        NULL, NULL, &binding, &scope) != MPI_SUCCESS)
    text[0] = '\0';
  return index < count ? (int)strlen(text) : -BSYNC_E_ARGUMENT;
}

int bsync_mpi_library_version(char *text, int size)
{
  char from[MPI_MAX_LIBRARY_VERSION_STRING + 1] = "";
  int length = 0;
  int code = MPI_Get_library_version(from, &length);
  if (code != MPI_SUCCESS) return bsync_refused(code);
  return put(from, text, size);
}
