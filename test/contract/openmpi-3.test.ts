/** The contract over ranks of Open MPI, 3 of them. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "openmpi", ranks: 3 });
