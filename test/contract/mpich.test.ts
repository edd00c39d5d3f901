/** The contract over ranks of MPICH. */
import { mpiFamilies } from "../setup/mpi.ts";
import { describeRanks } from "./suite.ts";

if (mpiFamilies().includes("mpich")) describeRanks("mpich");
