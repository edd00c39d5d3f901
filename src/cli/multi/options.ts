/** The command line of `bsync multi`: its options, how they are checked, and what they mean. */
import { Command, InvalidArgumentError, Option } from "commander";
import { haltPolicy, type HaltPolicy } from "./halt.ts";
import { jobsAtOnce, milliseconds, percentage } from "./units.ts";

/** Options as commander gives them. */
export interface MultiOptions {
  readonly jobs?: string;
  readonly keepOrder?: boolean;
  readonly tag?: boolean;
  readonly tagstring?: string;
  readonly lineBuffer?: boolean;
  readonly ungroup?: boolean;
  readonly results?: string;
  readonly files?: boolean;
  readonly archive?: string;
  readonly joblog?: string;
  readonly resume?: boolean;
  readonly resumeFailed?: boolean;
  readonly retryFailed?: boolean;
  readonly accept?: boolean;
  readonly halt: HaltPolicy | null;
  /** In ms, or in percent of the median. */
  readonly timeout?: Timeout;
  readonly retries: number;
  readonly delay: number;
  readonly grace: number;
  readonly dryRun?: boolean;
  readonly bar?: boolean;
  readonly eta?: boolean;
  readonly progress?: boolean;
  readonly wd?: string;
  readonly argFile: readonly string[];
  readonly null?: boolean;
  readonly delimiter: string;
  readonly colsep?: RegExp;
  readonly maxArgs?: number;
  readonly n?: number;
  readonly link?: boolean;
  readonly standIn: string;
  readonly runIfEmpty: boolean;
  readonly shuf?: boolean;
  readonly quote?: boolean;
  readonly isolate?: boolean;
  /** Other names of the same, as scripts for GNU parallel have them. */
  readonly maxProcs?: string;
  readonly workdir?: string;
  readonly linebuffer?: boolean;
}

export interface Timeout {
  readonly ms: number | null;
  readonly percent: number | null;
}

const ABOUT =
  "Runs a command once for each input, on local processes or on the ranks of an MPI job, by " +
  "the conventions of GNU parallel. Input comes from the words behind :::, from files " +
  "behind ::::, or from standard input, one value a line.";

const ENDING = `
Input:
  ::: a b c       values; [1-400] and [0-100:5] are ranges
  :::: file       a value on each line of a file; - is standard input
  :::+  ::::+     the same, alongside the source before it
  Several sources give all combinations, of which the last one varies fastest.

In the command:
  {}  {.}  {/}  {//}  {/.}     the value; without extension; without folder; its folder; the base
  {1} {-1} {2/.}               the value of one source or column, from the front or the back
  {#}  {%}                     the number of the job; its place among those that run, from 1
  A command that names no value has {} put behind it.

As in: bsync multi -- gzip -9 {} ::: *.log
       mpirun -n 16 bsync multi -k --joblog log -- ./simulate {1} {2} ::: [1-400] ::: hot cold
       find . -name '*.wav' -print0 | bsync multi -0 -j 4 -- lame {} {.}.mp3

Exit code: 0; the number of jobs that failed, up to 100; 101 for more; 255 for a mistake, or an
error of bsync's own.`;

/** Runs the command; `refuse` tells what is wrong with the words. */
export type RunMulti = (
  words: readonly string[],
  options: MultiOptions,
  refuse: (wrong: string) => never,
) => Promise<void>;

export function multiCommand(run: RunMulti): Command {
  const command = new Command("multi")
    .summary("run a command for each of many inputs, as GNU parallel does, here or under mpirun")
    .description(ABOUT)
    .usage("[options] [--] command {} ::: values")
    .argument("[words...]", "the command, then the sources of its input")
    .helpOption("-h, --help", "print this")
    .passThroughOptions()
    .addHelpText("after", ENDING);
  for (const option of [...OF_RUNS, ...OF_OUTPUT, ...OF_LOGS, ...OF_INPUT]) {
    command.addOption(option);
  }
  return command.action((words: string[], options: MultiOptions) =>
    run(words, options, (wrong) => command.error(`error: ${wrong}`)),
  );
}

const OF_RUNS = [
  new Option("-j, --jobs <n>", "jobs at once: 8, 50%, +2, -1; 0 is as many as possible").argParser(
    checked(jobsText, "a number, as 8 or 50%"),
  ),
  new Option("-P, --max-procs <n>")
    .argParser(checked(jobsText, "a number, as 8 or 50%"))
    .hideHelp(),
  new Option("--timeout <time>", "end a job after 10, 1.5m, 2h, or 200% of the median").argParser(
    checked(timeoutOf, "a time, as 10 or 1.5m, or a percentage"),
  ),
  new Option("--retries <n>", "start a job that fails up to so many times in all")
    .argParser(whole(1))
    .default(1, "1"),
  new Option("--delay <time>", "wait between two starts").argParser(time()).default(0, "0"),
  new Option("--halt <when>", "stop early: now,fail=1; soon,fail=10%; now,success=1; never")
    .argParser((text) => {
      const policy = haltPolicy(text);
      if (policy !== undefined) return policy;
      throw new InvalidArgumentError(`it must be as now,fail=1 or soon,fail=10%, got "${text}"`);
    })
    .default(null, "never"),
  new Option("--grace <time>", "on SIGTERM or SIGUSR1 running jobs have so long")
    .argParser(time())
    .default(10_000, "10"),
  new Option("--wd <folder>", "run in this folder; it may name the job, as in runs/{#}"),
  new Option("-q, --quote", "the command's own words are no shell's to read"),
  new Option("--isolate", "under mpirun: each rank works in a child process of its own"),
  new Option("--dry-run", "print the commands, and run none"),
];

const OF_OUTPUT = [
  new Option("-k, --keep-order", "print outputs in the order of the input"),
  new Option("--tag", "put the job's values before each line"),
  new Option("--tagstring <text>", "put this before each line; it may name the job"),
  new Option("--lb, --line-buffer", "print lines at once, not the output of a job as a whole"),
  new Option("-u, --ungroup", "print output at once, also parts of lines"),
  new Option("--results <folder>", "keep the output of each job in files under it"),
  new Option("--files", "keep output in files, and print their names"),
  new Option("--archive <file>", "keep the output of all jobs in one SQLite file"),
  new Option("--bar", "show a bar on stderr"),
  new Option("--eta", "show the time left on stderr"),
  new Option("--progress", "show the progress on stderr"),
];

const OF_LOGS = [
  new Option("--joblog <file>", "write a line for each job, as GNU parallel does"),
  new Option("--resume", "leave out jobs that the log has"),
  new Option("--resume-failed", "the same, and run those again that failed"),
  new Option("--retry-failed", "run the commands in the log again that failed; takes no input"),
  new Option("--accept", "resume from a log of another command or input all the same"),
];

const OF_INPUT = [
  new Option("-a, --arg-file <file>", "a file with a value on each line; may be given again")
    .argParser((text, before: readonly string[]) => [...before, text])
    .default([], "none"),
  new Option("-0, --null", "values end with a zero byte, not a line"),
  new Option("-d, --delimiter <text>", "what ends a value in a file")
    .argParser(unescaped)
    .default("\n", "a line's end"),
  new Option("-C, --colsep <regexp>", "split values into columns at this").argParser(
    checked(expression, "a regular expression"),
  ),
  new Option(
    "-N, --max-args <n>",
    "so many values for each job; -N 0 takes one, and leaves it out",
  ).argParser(whole(0)),
  new Option("-n <n>").argParser(whole(0)).hideHelp(),
  new Option("--workdir <folder>").hideHelp(),
  new Option("--linebuffer").hideHelp(),
  // A notice that is not here needs no answer.
  new Option("--will-cite").hideHelp(),
  new Option("--link", "go through all sources alongside; short ones begin again"),
  new Option("-I, --stand-in <text>", "what stands for {}").default("{}"),
  new Option("-r, --no-run-if-empty", "leave out values of nothing but spaces"),
  new Option("--shuf", "run the jobs in a random order"),
];

/** Parses a value, of which a rule makes null if it is none. */
function checked<T>(read: (text: string) => T | null, wanted: string): (text: string) => T {
  return (text) => {
    const value = read(text);
    if (value === null) throw new InvalidArgumentError(`it must be ${wanted}, got "${text}"`);
    return value;
  };
}

function jobsText(text: string): string | null {
  return jobsAtOnce(text, 1) === null ? null : text;
}

function whole(least: number): (text: string) => number {
  const wanted = `a whole number from ${least}`;
  return checked((text) => (/^\d+$/.test(text) && +text >= least ? Number(text) : null), wanted);
}

function time(): (text: string) => number {
  return checked(milliseconds, "a time, as 10 or 1.5m");
}

function timeoutOf(text: string): Timeout | null {
  const percent = percentage(text);
  const ms = milliseconds(text);
  return percent === null && ms === null ? null : { ms, percent };
}

function expression(text: string): RegExp | null {
  try {
    return new RegExp(text);
  } catch {
    return null;
  }
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", "0": "\0", "\\": "\\" };

function unescaped(text: string): string {
  return text.replace(/\\([nt0\\])/g, (_, letter: string) => ESCAPES[letter]!);
}
