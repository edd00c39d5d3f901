/** The contract over ranks of MPICH, 3 of them. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "mpich", ranks: 3 });
