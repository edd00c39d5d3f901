/** The functions of the shim; `c/bsync_mpi.h` and `c/bsync_comm.h` are their manuals. */
import { dlopen, type Library } from "bun:ffi";
import type { Family } from "../launcher/launcher.ts";
import { setForC } from "../../os/libc.ts";

/** BSYNC_MPI_ABI of the header that this file follows. */
const ABI = 9;

/** The signatures for bun:ffi. */
export const SYMBOLS = {
  bsync_mpi_abi: { args: [], returns: "int" },
  bsync_mpi_family: { args: [], returns: "int" },
  bsync_mpi_init: { args: ["int", "int", "int", "buffer"], returns: "int" },
  bsync_mpi_host: { args: ["int", "buffer", "int"], returns: "int" },
  bsync_mpi_poll: { args: ["buffer", "int", "buffer"], returns: "int" },
  bsync_mpi_probe: { args: ["int", "int", "buffer"], returns: "int" },
  bsync_mpi_receive: { args: ["buffer", "int", "int", "int"], returns: "int" },
  bsync_mpi_send: { args: ["buffer", "int", "int", "int"], returns: "int" },
  bsync_mpi_test: { args: ["int"], returns: "int" },
  bsync_mpi_pending: { args: [], returns: "int" },
  bsync_mpi_wait: { args: ["int", "int", "int", "int"], returns: "int" },
  bsync_mpi_error_class: { args: ["int", "buffer", "int"], returns: "int" },
  bsync_mpi_error_text: { args: ["int", "buffer", "int"], returns: "int" },
  bsync_mpi_library_version: { args: ["buffer", "int"], returns: "int" },
  bsync_mpi_variable: { args: ["int", "buffer", "int"], returns: "int" },
  bsync_mpi_abort: { args: ["int"], returns: "int" },
  bsync_mpi_leave: { args: [], returns: "int" },
  bsync_mpi_finalize: { args: ["int"], returns: "int" },
  bsync_mpi_end_within: { args: ["int"], returns: "int" },
} as const;

const MESSAGE = ["buffer", "i64", "int", "int", "int", "int"] as const;
const EACH = ["buffer", "buffer", "i64", "int", "int"] as const;
const REDUCTION = ["buffer", "buffer", "i64", "int", "int", "int", "int"] as const;

/** The functions of `bsync_comm.h`, for programs that use bsync/mpi. */
export const COMM_SYMBOLS = {
  bsync_comm_limit: { args: ["i64"], returns: "int" },
  bsync_comm_rank: { args: ["int"], returns: "int" },
  bsync_comm_size: { args: ["int"], returns: "int" },
  bsync_comm_members: { args: ["int", "buffer", "int"], returns: "int" },
  bsync_comm_wtime: { args: [], returns: "double" },
  bsync_comm_processor_name: { args: ["buffer", "int"], returns: "int" },
  bsync_comm_error: { args: ["int"], returns: "int" },
  bsync_comm_dup: { args: ["int"], returns: "int" },
  bsync_comm_split: { args: ["int", "int", "int"], returns: "int" },
  bsync_comm_group: { args: ["int", "buffer", "int", "int"], returns: "int" },
  bsync_comm_free: { args: ["int"], returns: "int" },
  bsync_comm_send: { args: MESSAGE, returns: "int" },
  bsync_comm_recv: { args: [...MESSAGE, "buffer"], returns: "int" },
  bsync_comm_sendrecv: {
    args: ["buffer", "i64", "int", "int", "int", ...MESSAGE, "buffer"],
    returns: "int",
  },
  bsync_comm_isend: { args: MESSAGE, returns: "int" },
  bsync_comm_irecv: { args: MESSAGE, returns: "int" },
  bsync_comm_test: { args: ["int", "buffer"], returns: "int" },
  bsync_comm_wait: { args: ["int", "buffer"], returns: "int" },
  bsync_comm_cancel: { args: ["int", "buffer"], returns: "int" },
  bsync_comm_probe: { args: ["int", "int", "int", "buffer"], returns: "int" },
  bsync_comm_iprobe: { args: ["int", "int", "int", "buffer"], returns: "int" },
  bsync_comm_barrier: { args: ["int"], returns: "int" },
  bsync_comm_bcast: { args: ["buffer", "i64", "int", "int", "int"], returns: "int" },
  bsync_comm_reduce: { args: [...REDUCTION, "int"], returns: "int" },
  bsync_comm_allreduce: { args: REDUCTION, returns: "int" },
  bsync_comm_scan: { args: REDUCTION, returns: "int" },
  bsync_comm_gather: { args: [...EACH, "int"], returns: "int" },
  bsync_comm_scatter: { args: [...EACH, "int"], returns: "int" },
  bsync_comm_allgather: { args: EACH, returns: "int" },
  bsync_comm_alltoall: { args: EACH, returns: "int" },
  bsync_comm_gatherv: {
    args: ["buffer", "i64", "buffer", "buffer", "buffer", "int", "int", "int"],
    returns: "int",
  },
  bsync_comm_scatterv: {
    args: ["buffer", "buffer", "buffer", "buffer", "i64", "int", "int", "int"],
    returns: "int",
  },
  bsync_comm_allgatherv: {
    args: ["buffer", "i64", "buffer", "buffer", "buffer", "int", "int"],
    returns: "int",
  },
  bsync_comm_alltoallv: {
    args: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer", "int", "int"],
    returns: "int",
  },
} as const;

export type CommSymbols = Library<typeof COMM_SYMBOLS>["symbols"];

/** The loaded shim. It is never closed: MPI can be neither unloaded nor started again. */
export interface Shim {
  readonly symbols: Library<typeof SYMBOLS>["symbols"];
  /** Binds the functions of `bsync_comm.h`. */
  readonly comm: () => CommSymbols;
  readonly family: Family;
  /** For messages: its origin. */
  readonly origin: string;
}

/** The shim in `library`, if it has the interface of this file. */
export function check(
  library: Library<typeof SYMBOLS>,
  comm: () => CommSymbols,
  origin: string,
): Shim {
  const { symbols } = library;
  const abi = symbols.bsync_mpi_abi();
  if (abi !== ABI) {
    library.close();
    throw new Error(`${origin} has version ${abi} of the shim's interface, not ${ABI}`);
  }
  const number = symbols.bsync_mpi_family();
  const family = number === 1 ? "openmpi" : number === 2 ? "mpich" : "unknown";
  return { symbols, comm, origin, family };
}

/** Loads the compiled shim at `path`. Throws an `Error` if it does not load. */
export function open(path: string): Shim {
  keepSignals();
  return check(dlopen(path, SYMBOLS), () => dlopen(path, COMM_SYMBOLS).symbols, path);
}

/**
 * The interface version of the compiled shim at `path`, even if it lacks other functions. Throws if
 * it does not load.
 */
export function versionOfShim(path: string): number {
  keepSignals();
  return dlopen(path, { bsync_mpi_abi: SYMBOLS.bsync_mpi_abi }).symbols.bsync_mpi_abi();
}

/**
 * libucs, which comes with MPICH's libmpi, takes SIGSEGV for itself as soon as it is loaded, and
 * prints a backtrace at each; but Bun's engine uses that signal to interrupt a function that runs
 * too long. What keeps libucs from it is a variable that it reads then (UCX, "UCX_ERROR_SIGNALS").
 */
export function keepSignals(): void {
  if (process.platform === "linux" && !Object.hasOwn(process.env, UCX_SIGNALS))
    setForC(UCX_SIGNALS, "");
}

const UCX_SIGNALS = "UCX_ERROR_SIGNALS";
