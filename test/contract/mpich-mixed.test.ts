/** The contract over pools of ranks of MPICH, and of processes beside rank 0. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "mpich", ranks: 3, mixed: true });
