/** The contract over ranks of Open MPI that run tasks in processes of their own. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "openmpi", ranks: 3, isolated: true });
