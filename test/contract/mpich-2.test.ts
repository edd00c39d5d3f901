/** The contract over ranks of MPICH, 2 of them. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "mpich", ranks: 2 });
