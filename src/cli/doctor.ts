/**
 * `bsync doctor`: examines this machine or, on the ranks of a job, the job; prints its findings and
 * their cures.
 */
import { homedir } from "node:os";
import manifest from "../../package.json" with { type: "json" };
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
import type { DoctorOptions } from "./doctor/options.ts";
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

/** How long it waits for a rank, or for MPI to start. */
const USUAL_MS = 30_000;

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

/**
 * Runs the command; resolves with its exit code. `command` is what stood behind `--`; `refuse`
 * tells what is wrong with it.
 */
export async function doctor(
  { json = false, timeout: timeoutMs = USUAL_MS }: DoctorOptions,
  command: readonly string[] | null,
  refuse: (wrong: string) => never,
): Promise<number> {
  const launcher = launcherHere();
  const launch = command && launchOf(command, launcher, refuse);
  if (!speaks()) return launcher === null ? 0 : serveJob(launcher, timeoutMs);
  return examine(launcher, { json, timeoutMs, launch });
}

function launchOf(
  command: readonly string[],
  launcher: Launcher | null,
  refuse: (wrong: string) => never,
): Launch {
  if (launcher !== null) {
    refuse(`a command behind -- is for where no launcher is, and ${launcher.name} is here`);
  }
  const asked = lookInPlaceOf(command);
  if (asked !== null) return { command, asked };
  const found = command.length > 0 ? `no bun among \`${command.join(" ")}\`` : "no command";
  return refuse(`there is ${found}; behind -- goes all of it, as in -- mpirun -n 4 bun run job.ts`);
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
