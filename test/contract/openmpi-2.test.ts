/** The contract over ranks of Open MPI, 2 of them. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "openmpi", ranks: 2 });
