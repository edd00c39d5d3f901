/** The contract over local processes, every second case of it: two jobs beside each other. */
import { describeContract } from "./suite.ts";

describeContract({ mode: "local", ranks: 1, half: 1 });
