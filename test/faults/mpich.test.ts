/** The table of faults over ranks of MPICH. */
import { describeFaults } from "./suite.ts";

describeFaults({ mode: "mpich", ranks: 3 });
