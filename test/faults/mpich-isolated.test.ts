/** The table of faults over ranks of MPICH that run tasks in processes of their own. */
import { describeFaults } from "./suite.ts";

describeFaults({ mode: "mpich", ranks: 3, isolated: true });
