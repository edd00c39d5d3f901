/**
 * Who started this process, beyond what the environment tells: all processes that a rank starts
 * inherit its launcher's variables, and none of them is that rank.
 */
import { findLauncher, type Launcher, withoutLauncher } from "./launcher.ts";
import { readProc } from "../../os/proc.ts";
import { parentOf } from "../../os/processes.ts";
import type { Environment } from "../../os/settings.ts";

/** Variables that differ from rank to rank, or from job to job. */
const IDENTITY = [
  "OMPI_COMM_WORLD_RANK",
  "PMIX_RANK",
  "PMIX_NAMESPACE",
  "PMI_RANK",
  "PMI_FD",
  "PMI_ID",
  "PMI_PORT",
  "HYDI_CONTROL_FD",
];

/**
 * Programs that start ranks. One that a rank starts has the rank's environment, and starts a job of
 * its own.
 */
const LAUNCHERS =
  /^(?:mpirun|mpiexec|orterun|orted|prterun|prted|prun|hydra_|srun|slurmstepd|flux|pals)/;

/**
 * The launcher that started this process as a rank; null if none did, or the rank is a process
 * above this one.
 */
export function launcherHere(): Launcher | null {
  return isStartedByRank() ? null : findLauncher(ownEnvironment());
}

let own: Environment | undefined;

/**
 * This process's environment, as set by its own launcher. If a rank of Open MPI started MPICH's
 * mpirun, that rank's variables are here, too, and mean the other job.
 */
export function ownEnvironment(): Environment {
  const launcher = findLauncher(process.env);
  if (launcher?.family !== "openmpi" && launcher?.family !== "unknown") return process.env;
  if (process.env["PMI_RANK"] === undefined && process.env["PMI_ID"] === undefined)
    return process.env;
  return (own ??= withoutOuter());
}

function withoutOuter(): Environment {
  const around = environmentOfLauncher();
  if (around?.["OMPI_COMM_WORLD_RANK"] === undefined) return process.env;
  const ours = Object.entries(process.env).filter(
    ([name, value]) => !/^(?:OMPI|PMIX)_/.test(name) || around[name] !== value,
  );
  return Object.fromEntries(ours);
}

let startedByRank: boolean | undefined;

/**
 * Whether a rank that has started MPI started this process, which has the rank's environment
 * without being that rank.
 */
export function isStartedByRank(): boolean {
  return (startedByRank ??= findLauncher(process.env) !== null && hasRankAbove());
}

/**
 * Tools that watch MPI load its library into all programs, this one too: then it proves nothing.
 */
function hasRankAbove(): boolean {
  return [...ancestorsOfRank()].some(hasMpi) && !hasMpi(process.pid);
}

/** Whether a process has loaded an MPI. */
function hasMpi(pid: number): boolean {
  return /\/lib(?:p?mpi|mpich)\w*[.-]/.test(readProc(pid, "maps") ?? "");
}

/**
 * The processes between the launcher and this one, the nearest first: they share this rank's
 * environment.
 */
export function* ancestorsOfRank(): Generator<number> {
  for (let pid = process.ppid; pid > 1 && isSameRank(pid); pid = parentOf(pid)) yield pid;
}

function isSameRank(pid: number): boolean {
  const theirs = environmentOf(pid);
  if (theirs === null || LAUNCHERS.test(readProc(pid, "comm") ?? "")) return false;
  return IDENTITY.every((name) => theirs[name] === process.env[name]);
}

/** The environment that a process was started with. */
function environmentOf(pid: number): Record<string, string> | null {
  const text = readProc(pid, "environ");
  if (text === null) return null;
  const bytes = Buffer.from(text, "latin1").toString();
  return Object.fromEntries(
    bytes.split("\0").map((entry) => {
      const end = entry.indexOf("=");
      return [entry.slice(0, end), entry.slice(end + 1)];
    }),
  );
}

/** The environment that the launcher on this machine was started with; null if unknown. */
function environmentOfLauncher(): Environment | null {
  let pid = process.ppid;
  for (const ancestor of ancestorsOfRank()) pid = parentOf(ancestor);
  return pid > 1 ? environmentOf(pid) : null;
}

/**
 * An environment for a process that this one starts and that is no rank: without the variables that
 * a launcher set for this one.
 */
export function withoutRank(env: Environment): Record<string, string> {
  const around = findLauncher(process.env) === null ? null : environmentOfLauncher();
  return withoutLauncher(env, process.env, around);
}
