/** The subcommands of `bsync`, their options, and how a mistake in these is told. */
import { Command, CommanderError } from "commander";
import manifest from "../../package.json" with { type: "json" };
import { benchCommand } from "./bench/options.ts";
import { completionCommand } from "./completion.ts";
import { doctorCommand } from "./doctor/options.ts";
import { multiCommand } from "./multi/options.ts";
import { print, speaks } from "./output.ts";
import { reportCommand } from "./report/options.ts";

/** The exit code for a wrong command line; small codes of `multi` count failures. */
const MISUSED = 2;
const MISUSED_OF: Readonly<Record<string, number>> = { multi: 255 };

/** Commands for which the other ranks of a job serve rank 0. */
const WITH_POOLS: ReadonlySet<string> = new Set(["bench", "multi"]);

/** Runs the command line; resolves with its exit code. */
export async function run(words: readonly string[]): Promise<number> {
  const hasPool = WITH_POOLS.has(words[0] ?? "");
  if (!speaks() && hasPool) {
    // Rank 0 alone knows what was asked for, and whether it can be done.
    const { serve } = await import("./multi/rank.ts");
    return await serve();
  }
  const outcome: Outcome = { code: 0, isDone: false, said: "" };
  const program = commandLine(outcome);
  try {
    await program.parseAsync(words.length === 0 ? [""] : words, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    outcome.code = error.exitCode === 0 ? 0 : (MISUSED_OF[words[0] ?? ""] ?? MISUSED);
  }
  if (speaks() && outcome.said !== "") await print(outcome.said);
  if (hasPool && !outcome.isDone) await endJob();
  return outcome.code;
}

interface Outcome {
  code: number;
  /** Whether a command ran: else there was a mistake, or a question for help. */
  isDone: boolean;
  /** Help, or the version. */
  said: string;
}

/** The words that commander parses, and what it says, which only one rank of a job does. */
function commandLine(outcome: Outcome): Command {
  const program = new Command("bsync")
    .description("A task pool for MPI and for one machine, on the command line.")
    .version(manifest.version, "-v, --version", "print the version")
    .helpOption("-h, --help", "print this")
    .helpCommand("help [command]", "print the options of a command")
    .argument("[command]")
    .usage("<command> [options]")
    .enablePositionalOptions()
    .action((word: string) => {
      const wrong = word === "" ? "no command was given" : `there is no command "${word}"`;
      program.error(`error: ${wrong}`);
    });
  const finish = (code: number) => void Object.assign(outcome, { code, isDone: true });
  // Each command loads its own part of the program, and no other.
  const ofDoctor = doctorCommand(async (options, launch, refuse) => {
    const { doctor } = await import("./doctor.ts");
    finish(await doctor(options, launch, refuse));
  });
  const ofMulti = multiCommand(async (words, options, refuse) => {
    const { multi } = await import("./multi/multi.ts");
    finish(await multi(words, options, refuse));
  });
  const ofBench = benchCommand(async (options) => {
    const { bench } = await import("./bench/bench.ts");
    finish(await bench(options));
  });
  const ofReport = reportCommand(async (path, options) => {
    const { report } = await import("./report/report.ts");
    finish(speaks() ? await report(path, options) : 0);
  });
  const ofCompletion = completionCommand((script) => {
    outcome.said += script;
    finish(0);
  });
  for (const one of [ofDoctor, ofBench, ofMulti, ofReport, ofCompletion]) program.addCommand(one);
  for (const command of [program, ...program.commands]) speakFor(command, outcome);
  return program;
}

/** Has a command throw its errors, and tell them as bsync does. */
function speakFor(command: Command, outcome: Outcome): void {
  const name = command.parent === null ? "bsync" : `bsync ${command.name()}`;
  command.exitOverride().showSuggestionAfterError();
  command.configureHelp({ helpWidth: HELP_COLUMNS, subcommandTerm: (one) => one.name() });
  command.configureOutput({
    writeOut: (text) => void (outcome.said += text),
    writeErr: () => {},
    outputError: (text) => {
      const wrong = text.trimEnd().replace(/^error: /, "");
      if (!speaks()) return;
      process.stderr.write(`${name}: Cannot run: ${wrong}\n\n${usageOf(command)}`);
    },
  });
}

const HELP_COLUMNS = 100;

/** Behind an error: all of it of a short help, else where it is. */
function usageOf(command: Command): string {
  const help = command.helpInformation();
  if (help.split("\n").length <= MOST_LINES) return help;
  const usage = help.slice(0, help.indexOf("\n\n"));
  return `${usage}\n\nbsync ${command.name()} --help tells the options.\n`;
}

const MOST_LINES = 30;

/** The other ranks of a job wait for a pool, which is not going to be opened. */
async function endJob(): Promise<void> {
  const { letRanksGo } = await import("./multi/rank.ts");
  await letRanksGo();
}
