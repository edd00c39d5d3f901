/** The contract over ranks of Open MPI, 4 of them. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "openmpi", ranks: 4 });
