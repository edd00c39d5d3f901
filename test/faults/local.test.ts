/** The table of faults over local processes. */
import { describeFaults } from "./suite.ts";

describeFaults({ mode: "local", ranks: 1 });
