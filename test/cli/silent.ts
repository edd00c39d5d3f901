/**
 * A rank that starts MPI as the others do, and has nothing to say to anybody; or, with the word "stopped",
 * one that tells of itself as the doctor's do, and then is stopped.
 */
import { tell } from "../../src/cli/doctor/job.ts";
import { startMpi } from "../../src/mpi/start.ts";

const mpi = startMpi({ initTimeout: 20_000 });
if (process.argv[2] === "stopped") {
  tell(mpi, Infinity);
  process.kill(process.pid, "SIGSTOP");
}
setInterval(() => {}, 1_000);
