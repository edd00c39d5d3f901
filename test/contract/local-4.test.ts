/** The contract over local processes, part 4 of 4: the parts are jobs beside each other. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "local", ranks: 1, part: { number: 4, of: 4 } });
