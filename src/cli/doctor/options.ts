/** The command line of `bsync doctor`. */
import { Command, InvalidArgumentError } from "commander";

const ABOUT =
  "Says what bsync finds here, and what to do about what is wrong. Alone it examines the " +
  "machine, and tries each MPI with a job of two ranks. Given the command that starts a " +
  "program, it has that launcher look what each host has of what the program needs, and " +
  "does not run the program. Started by a launcher itself it examines that job, and rank 0 " +
  "reports.";

const ENDING = `
As in: bsync doctor -- mpirun -f hosts -n 64 bun run job.ts
       mpirun -n 4 bsync doctor

Exit code: 0, 1 when something keeps programs from running, 2 for a wrong option.`;

/** What `--timeout` bounds: a rank, or one try of MPI. */
const TIMEOUT =
  "how long to wait for a rank, or for MPI to start (30); for all of it together doctor takes " +
  "eight times that, and a minute";

/** The longest --timeout in seconds: a day. */
const MOST_SECONDS = 86_400;

export interface DoctorOptions {
  readonly json?: boolean;
  /** In ms. */
  readonly timeout?: number;
}

/**
 * Runs the command; `launch` is what stood behind `--`, if that was there. `refuse` tells what is
 * wrong with it.
 */
export type RunDoctor = (
  options: DoctorOptions,
  launch: readonly string[] | null,
  refuse: (wrong: string) => never,
) => Promise<void>;

export function doctorCommand(run: RunDoctor): Command {
  const command = new Command("doctor")
    .summary(
      "what MPI is here, is its binding built, does it match the launcher, what is slow and why",
    )
    .description(ABOUT)
    .usage("[options] [-- command…]")
    .argument("[command...]", "a command that starts a program, with its launcher")
    .option("--json", "print one JSON object, for programs")
    .option("--timeout <seconds>", TIMEOUT, milliseconds)
    .helpOption("-h, --help", "print this")
    .passThroughOptions()
    .addHelpText("after", ENDING);
  command.action(async (words: string[], options: DoctorOptions) => {
    const isBehindDashes = rawWords(command).includes("--");
    if (words.length > 0 && !isBehindDashes) {
      command.error(`error: "${words[0]}" is no option; a command goes behind --`);
    }
    const launch = isBehindDashes ? words : null;
    await run(options, launch, (wrong) => command.error(`error: ${wrong}`));
  });
  return command;
}

function rawWords(command: Command): readonly string[] {
  // Commander keeps them, and its types do not say so.
  return (command.parent as unknown as { rawArgs: string[] }).rawArgs;
}

function milliseconds(text: string): number {
  const seconds = Number(text);
  if (seconds > 0 && seconds <= MOST_SECONDS) return seconds * 1000;
  throw new InvalidArgumentError(`it must be a number of seconds above 0, got "${text}"`);
}
