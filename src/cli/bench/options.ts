/** The command line of `bsync bench`. */
import { Command, InvalidArgumentError } from "commander";

const ABOUT =
  "Measures what calls cost here: the first one, a round trip, many at once, a map, large " +
  "arrays. On local processes, or on the ranks of the job that a launcher has started, and " +
  "there beside MPI's own messages. Takes some 20 seconds at most. A machine that does " +
  "other work shows other numbers.";

const ENDING = `
As in: bsync bench
       mpirun -n 2 bsync bench --json`;

export interface BenchOptions {
  readonly json?: boolean;
  /** ms for each piece. */
  readonly time: number;
}

export function benchCommand(run: (options: BenchOptions) => Promise<void>): Command {
  return new Command("bench")
    .summary("what a call costs here: round trip, rate, bandwidth, and what follows from that")
    .description(ABOUT)
    .option("--json", "print one JSON object, for programs")
    .option("--time <seconds>", "how long to measure each of four things (2)", milliseconds, 2_000)
    .helpOption("-h, --help", "print this")
    .addHelpText("after", ENDING)
    .action(run);
}

function milliseconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds < 3_600) return seconds * 1_000;
  throw new InvalidArgumentError(`it must be a number of seconds above 0, got "${text}"`);
}
