/** Tries an mpirun: starts a job of two ranks that examines itself. */
import { dirname, join } from "node:path";
import { hostCores } from "../../os/cores.ts";
import type { Mpirun } from "../../mpi/launcher/mpirun.ts";
import type { Report, TrialFacts } from "./report.ts";
import { lastWords, run, SPARE_MS } from "./run.ts";

const MAIN = join(dirname(import.meta.dir), "main.ts");

const RANKS = 2;

/** Whether Open MPI needs a flag to run as this user. */
export function isRefused(
  mpirun: Mpirun,
  env: NodeJS.ProcessEnv,
  uid: number | undefined,
): boolean {
  const allowed = env["OMPI_ALLOW_RUN_AS_ROOT"] === "1";
  const confirmed = env["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] === "1";
  return mpirun.family === "openmpi" && uid === 0 && !(allowed && confirmed);
}

/** Runs the job; every rank has `timeoutMs` to answer. */
export async function tryMpirun(mpirun: Mpirun, timeoutMs: number): Promise<TrialFacts> {
  const flags: string[] = [];
  if (isRefused(mpirun, process.env, process.getuid?.())) flags.push("--allow-run-as-root");
  if (mpirun.family === "openmpi" && hostCores() < RANKS) flags.push("--oversubscribe");
  const start = [mpirun.path, ...flags, "-n", String(RANKS)];
  const program = [process.execPath, MAIN, "doctor", "--json", `--timeout=${timeoutMs / 1000}`];
  const command = `${start.join(" ")} bun …`;
  const outcome = await run([...start, ...program], {
    env: process.env,
    limitMs: timeoutMs + SPARE_MS,
  });
  const { stdout, stderr } = outcome;
  try {
    const { job } = JSON.parse(stdout) as Report;
    if (job !== null) return { command, job, failure: null };
  } catch {
    // No report: the launcher's words tell why.
  }
  return { command, job: null, failure: lastWords(outcome, `${stderr}${stdout}`) };
}
