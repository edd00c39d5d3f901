/** The contract over pools of ranks of Open MPI, and of processes beside rank 0. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "openmpi", ranks: 3, mixed: true });
