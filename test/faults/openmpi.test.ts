/** The table of faults over ranks of Open MPI. */
import { describeFaults } from "./suite.ts";

describeFaults({ mode: "openmpi", ranks: 3 });
