/** The contract over ranks of MPICH, 4 of them. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "mpich", ranks: 4 });
