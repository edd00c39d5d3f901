import { whole } from "../os/whole.ts";
import { Communicator } from "./communicator.ts";

/**
 * All ranks of the job (a duplicate of MPI_COMM_WORLD, MPI 4.0 section 7.2). The first use of
 * `world`, or `AsyncPool.open`, starts MPI: every rank has to reach either.
 *
 * In a program that no launcher started it has one rank, if there is an MPI on this machine; if
 * not, its first use throws an `MpiError` that says what to install.
 */
export const world: Communicator = Communicator.world();

const NAME_BYTES = 1024;

/**
 * Seconds since a fixed time in the past, the same for all of this process (MPI_Wtime, MPI 4.0
 * section 9.6).
 *
 * @example
 * const start = wtime();
 * step();
 * console.log(`${wtime() - start} s`);
 */
export function wtime(): number {
  const seconds = whole(() => world.mpi)
    .comm()
    .bsync_comm_wtime();
  if (seconds < 0) throw world.failure(seconds, "tell the time");
  return seconds;
}

/** The machine's name, by MPI (MPI_Get_processor_name, MPI 4.0 section 9.1.2). */
export function processorName(): string {
  const text = new Uint8Array(NAME_BYTES);
  const length = whole(() => world.mpi)
    .comm()
    .bsync_comm_processor_name(text, text.byteLength);
  if (length < 0) throw world.failure(length, "tell the name of the machine");
  return new TextDecoder().decode(text.subarray(0, length));
}

/**
 * Ends the whole job at once, with this exit code, from 0 to 255 (MPI_Abort, MPI 4.0 section 9.7).
 */
export function abort(code = 1): never {
  return world.abort(code);
}
