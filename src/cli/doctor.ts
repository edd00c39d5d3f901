/**
 * `bsync doctor`: examines this machine or, on the ranks of a job, the job; prints its findings and
 * their cures.
 */
import { homedir } from "node:os";
import { parseArgs } from "node:util";
import manifest from "../../package.json" with { type: "json" };
import { textOf } from "../errors.ts";
import { launcherHere } from "../mpi/launcher/ancestry.ts";
import { limitAll } from "../os/ask.ts";
import { Cache } from "../mpi/shim/cache.ts";
import { findStrayTask, type Launcher, setting } from "../mpi/launcher/launcher.ts";
import {
  describeCompiler,
  findInstallations,
  type Installation,
  tryCompiler,
} from "./doctor/installations.ts";
import { examineJob, serveJob } from "./doctor/job.ts";
import { examineLaunch, lookInPlaceOf } from "./doctor/launch.ts";
import { examineBun, examineMachine } from "./doctor/machine.ts";
import { diagnose, type Findings } from "./doctor/problems.ts";
import type { MpiFacts, Report } from "./doctor/report.ts";
import { examineShims, otherEntries, withRepairs } from "./doctor/shims.ts";
import {
  printedJob,
  printedLaunch,
  printedMpi,
  printedPreface,
  printedProblems,
} from "./doctor/text.ts";
import { tryMpirun } from "./doctor/trial.ts";
import { print, speaks, style } from "./output.ts";
import type { Environment } from "../os/settings.ts";

const USAGE = `Usage: bsync doctor [options]
       bsync doctor [options] -- mpirun -f hosts -n 64 bun run job.ts
       mpirun -n 4 bsync doctor [options]

Says what bsync finds here, and what to do about what is wrong. Alone it examines the machine, and
tries each MPI with a job of two ranks. Given the command that starts a program, it has that
launcher look what each host has of what the program needs, and does not run the program. Started
by a launcher itself it examines that job, and rank 0 reports.

  --json               print one JSON object, for programs
  --timeout <seconds>  how long to wait for a rank, or for MPI to start (30); for all of it together
                       doctor takes eight times that, and a minute
  -h, --help           print this

Exit code: 0, 1 when something keeps programs from running, 2 for a wrong option.
`;

const OPTIONS = {
  json: { type: "boolean", default: false },
  timeout: { type: "string", default: "30" },
  help: { type: "boolean", short: "h", default: false },
} as const;

interface Options {
  readonly json: boolean;
  readonly timeoutMs: number;
  /** The command behind `--`, and the one started instead; null if none was given. */
  readonly launch: Launch | null;
}

interface Launch {
  readonly command: readonly string[];
  readonly asked: string[];
}

/** The longest --timeout in seconds: a day. */
const MOST_SECONDS = 86_400;

/** The options, a request for help, or the mistake in them. */
function parse(
  words: string[],
  launcher: Launcher | null,
): Options | { help: true } | { wrong: string } {
  const end = words.indexOf("--");
  const args = end < 0 ? words : words.slice(0, end);
  let values;
  try {
    ({ values } = parseArgs({ args, options: OPTIONS }));
  } catch (error) {
    return { wrong: textOf(error) };
  }
  if (values.help) return { help: true };
  const seconds = Number(values.timeout);
  if (!(seconds > 0 && seconds <= MOST_SECONDS)) {
    return { wrong: `--timeout must be a number of seconds above 0, got "${values.timeout}"` };
  }
  const given = { json: values.json, timeoutMs: seconds * 1000 };
  if (end < 0) return { ...given, launch: null };
  if (launcher !== null) {
    return {
      wrong: `a command behind -- is for where no launcher is, and ${launcher.name} is here`,
    };
  }
  const command = words.slice(end + 1);
  const asked = lookInPlaceOf(command);
  if (asked !== null) return { ...given, launch: { command, asked } };
  const found = command.length > 0 ? `no bun among \`${command.join(" ")}\`` : "no command";
  return {
    wrong: `there is ${found}; behind -- goes all of it, as in -- mpirun -n 4 bun run job.ts`,
  };
}

/** Runs the command; resolves with its exit code. */
export async function doctor(args: string[]): Promise<number> {
  const launcher = launcherHere();
  const options = parse(args, launcher);
  if ("help" in options) {
    if (speaks()) process.stdout.write(USAGE);
    return 0;
  }
  if ("wrong" in options) {
    if (speaks()) process.stderr.write(`bsync doctor: Cannot run: ${options.wrong}\n\n${USAGE}`);
    return 2;
  }
  if (!speaks()) return launcher === null ? 0 : serveJob(launcher, options.timeoutMs);
  return examine(launcher, options);
}

/**
 * ms for all programs it starts together, by the time it waits for a rank: it tries several MPIs,
 * one after another.
 */
function allMs(timeoutMs: number): number {
  return 8 * timeoutMs + 60_000;
}

/** Examines everything, reports as it goes, and resolves with the exit code. */
async function examine(launcher: Launcher | null, options: Options): Promise<number> {
  limitAll(allMs(options.timeoutMs));
  const cache = new Cache(process.env);
  const here = findInstallations(process.env, cache);
  const compilers = here.found.flatMap(({ compiler }) => compiler ?? []);
  const preface = {
    bsync: manifest.version,
    bun: examineBun(),
    machine: examineMachine(),
    cache: {
      folder: cache.places[0]!,
      writable: cache.writable(),
      shims: await examineShims(cache, compilers),
      others: otherEntries(cache),
    },
    settings: settingsOf(process.env),
  };
  const printing = { home: homedir(), ...style(process.stdout, process.env) };
  // Printed at once: the next step may take a while, or end this process.
  const say = (text: string) => (options.json ? undefined : print(text));
  await say(printedPreface(preface, printing));

  const examined = launcher && examineJob(launcher, options.timeoutMs);
  const { command, asked } = options.launch ?? {};
  const launch = asked ? await examineLaunch(command!, asked, options.timeoutMs) : null;
  if (launch !== null) await say(printedLaunch(launch, printing));
  const mpis: MpiFacts[] = [];
  for (const one of launch === null ? here.found : []) {
    const mpi = await examineMpi(one, launcher ? null : { cache, timeoutMs: options.timeoutMs });
    mpis.push(mpi);
    if (examined === null) await say(printedMpi(mpi, printing));
  }
  const job = examined?.job ?? null;
  if (job !== null) await say(printedJob({ job, mpis }, printing));

  const shims = withRepairs(preface.cache.shims, await examineShims(cache, compilers));
  const report = judged({
    ...preface,
    cache: { ...preface.cache, shims, others: otherEntries(cache) },
    mpis,
    broken: here.broken,
    job,
    strayTasks: findStrayTask(process.env)?.tasks ?? 0,
    launch,
  });
  if (options.json) await print(`${JSON.stringify(report, null, 2)}\n`);
  await say(printedProblems(report.problems, printing));
  const code = report.ok ? 0 : 1;
  examined?.end(code);
  return code;
}

/** The facts of an MPI; outside of a job it is tried. */
async function examineMpi(
  { family, mpirun, compiler }: Installation,
  trial: { cache: Cache; timeoutMs: number } | null,
): Promise<MpiFacts> {
  const error = trial && compiler ? tryCompiler(compiler, trial.cache) : null;
  const mpicc = compiler && describeCompiler(compiler, error);
  return {
    family,
    version: mpirun?.version ?? mpicc?.version ?? null,
    mpirun: mpirun && { path: mpirun.path, aliases: mpirun.aliases },
    mpicc,
    trial: trial && mpirun && (await tryMpirun(mpirun, trial.timeoutMs)),
  };
}

function judged(findings: Findings): Report {
  const problems = diagnose(findings);
  return { ...findings, problems, ok: problems.every(({ level }) => level !== "error") };
}

/** The variables that README.md lists under "Environment". */
const SETTINGS = [
  "USE_MPI",
  "MPICC",
  "CACHE_DIR",
  "SPIN_US",
  "CHUNK_BYTES",
  "HOST_TIMEOUT",
  "DEBUG",
];

function settingsOf(env: Environment): Record<string, string> {
  const set = SETTINGS.flatMap((name): [string, string][] => {
    const value = setting(env, `BSYNC_${name}`);
    return value === undefined ? [] : [[`BSYNC_${name}`, value]];
  });
  return Object.fromEntries(set);
}
