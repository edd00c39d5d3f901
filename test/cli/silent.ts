/** A rank that starts MPI as the others do, and has nothing to say to anybody. */
import { startMpi } from "../../src/mpi/mpi.ts";

startMpi({ initTimeout: 20_000 });
setInterval(() => {}, 1_000);
