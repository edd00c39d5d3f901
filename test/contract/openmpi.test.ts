/** The contract over ranks of Open MPI. */
import { mpiFamilies } from "../setup/mpi.ts";
import { describeRanks } from "./suite.ts";

if (mpiFamilies().includes("openmpi")) describeRanks("openmpi");
