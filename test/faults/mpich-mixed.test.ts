/** The table of faults over pools of a rank of MPICH and a process beside rank 0. */
import { describeFaults } from "./suite.ts";

describeFaults({ mode: "mpich", ranks: 3, mixed: true });
