/** The table of faults over pools of a rank of Open MPI and a process beside rank 0. */
import { describeFaults } from "./suite.ts";

describeFaults({ mode: "openmpi", ranks: 3, mixed: true });
