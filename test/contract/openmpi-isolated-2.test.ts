/** The contract over ranks of Open MPI that run tasks in processes of their own, half 2 of 2. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "openmpi", ranks: 3, isolated: true, part: { number: 2, of: 2 } });
