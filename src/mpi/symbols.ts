/** The functions of the shim; `c/bsync_mpi.h` is their manual. */
import { dlopen, type Library } from "bun:ffi";
import type { Family } from "./launcher.ts";

/** BSYNC_MPI_ABI of the header that this file is written against. */
const ABI = 2;

/** What bun:ffi needs to know of them. */
export const SYMBOLS = {
  bsync_mpi_abi: { args: [], returns: "int" },
  bsync_mpi_family: { args: [], returns: "int" },
  bsync_mpi_init: { args: ["int", "int", "buffer"], returns: "int" },
  bsync_mpi_poll: { args: ["buffer", "int", "buffer"], returns: "int" },
  bsync_mpi_probe: { args: ["int", "int", "buffer"], returns: "int" },
  bsync_mpi_receive: { args: ["buffer", "int", "int", "int"], returns: "int" },
  bsync_mpi_send: { args: ["buffer", "int", "int", "int"], returns: "int" },
  bsync_mpi_test: { args: ["int"], returns: "int" },
  bsync_mpi_pending: { args: [], returns: "int" },
  bsync_mpi_wait: { args: ["int", "int", "int", "int"], returns: "int" },
  bsync_mpi_error_text: { args: ["int", "buffer", "int"], returns: "int" },
  bsync_mpi_library_version: { args: ["buffer", "int"], returns: "int" },
  bsync_mpi_abort: { args: ["int"], returns: "int" },
  bsync_mpi_finalize: { args: [], returns: "int" },
} as const;

/** The loaded shim. It is never closed: MPI cannot be unloaded, nor started again. */
export interface Shim {
  readonly symbols: Library<typeof SYMBOLS>["symbols"];
  readonly family: Family;
  /** Where it came from, for messages. */
  readonly origin: string;
}

/** The shim in `library`, when it is the one that this file describes. */
export function check(library: Library<typeof SYMBOLS>, origin: string): Shim {
  const { symbols } = library;
  const abi = symbols.bsync_mpi_abi();
  if (abi !== ABI) {
    library.close();
    throw new Error(`${origin} has version ${abi} of the shim's interface, not ${ABI}`);
  }
  const number = symbols.bsync_mpi_family();
  return { symbols, origin, family: number === 1 ? "openmpi" : number === 2 ? "mpich" : "unknown" };
}

/** Loads the compiled shim at `path`. Throws an `Error` when it does not load. */
export function open(path: string): Shim {
  keepSignals();
  return check(dlopen(path, SYMBOLS), path);
}

/**
 * libucs, which comes with MPICH's libmpi, takes SIGSEGV for itself as soon as it is loaded, and prints a
 * backtrace at each; but Bun's engine uses that signal to interrupt a function that runs too long. What
 * keeps libucs from it is a variable that it reads then (UCX, "UCX_ERROR_SIGNALS"). `process.env` is
 * Bun's own copy of the environment: C does not see what is set there.
 */
export function keepSignals(): void {
  if (process.platform !== "linux") return;
  const libc = dlopen("libc.so.6", {
    setenv: { args: ["cstring", "cstring", "int"], returns: "int" },
  });
  libc.symbols.setenv(text("UCX_ERROR_SIGNALS"), text(""), 0);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}
