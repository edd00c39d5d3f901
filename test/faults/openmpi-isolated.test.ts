/** The table of faults over ranks of Open MPI that run tasks in processes of their own. */
import { describeFaults } from "./suite.ts";

describeFaults({ mode: "openmpi", ranks: 3, isolated: true });
