/** The contract over ranks of MPICH that run tasks in processes of their own. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "mpich", ranks: 3, isolated: true });
