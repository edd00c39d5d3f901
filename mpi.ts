/** `bsync/mpi`: plain MPI, for programs and tasks. */
export type { Counts } from "./src/comm/collective-arguments.ts";
export { Communicator } from "./src/comm/communicator.ts";
export type { MpiArray, MpiBuffer } from "./src/comm/datatypes.ts";
export type { Combine } from "./src/comm/object-messages.ts";
export {
  BAND,
  BOR,
  BXOR,
  LAND,
  LOR,
  MAX,
  MIN,
  Operation,
  PROD,
  SUM,
} from "./src/comm/operations.ts";
export { Request } from "./src/comm/request.ts";
export { ANY_SOURCE, ANY_TAG, PROC_NULL, type Status } from "./src/comm/status.ts";
export { abort, processorName, world, wtime } from "./src/comm/world.ts";
export { MpiError } from "./src/errors.ts";
