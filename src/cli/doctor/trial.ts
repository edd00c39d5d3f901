/** Tries an mpirun: starts a job of two ranks that examines itself. */
import { dirname, join } from "node:path";
import type { Mpirun } from "../../mpi/mpirun.ts";
import { hostCores } from "./machine.ts";
import type { Report, TrialFacts } from "./report.ts";

const MAIN = join(dirname(import.meta.dir), "main.ts");

const RANKS = 2;

/** What starting and ending take, beyond the time that the ranks have. */
const SPARE_MS = 10_000;

/** ms that a launcher has to end its ranks. */
const END_MS = 3_000;

/** How much of what a launcher said is told. */
const WORDS = 12;

/** Does Open MPI have to be told that it may run as this user? */
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
  const deed = [process.execPath, MAIN, "doctor", "--json", `--timeout=${timeoutMs / 1000}`];
  const command = `${start.join(" ")} bun …`;
  const { said, complaint, end } = await run([...start, ...deed], timeoutMs + SPARE_MS);
  try {
    const { job } = JSON.parse(said) as Report;
    if (job !== null) return { command, job, failure: null };
  } catch {
    // It did not come so far; the launcher's words tell.
  }
  const words = `${complaint}${said}`.trim().split("\n").filter(Boolean).slice(0, WORDS).join("\n");
  return { command, job: null, failure: `it ended with ${end}${words ? `:\n${words}` : ""}` };
}

async function run(
  command: string[],
  limitMs: number,
): Promise<{ said: string; complaint: string; end: string }> {
  await using child = Bun.spawn(command, {
    env: { ...process.env, NO_COLOR: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let late = false;
  // Asked to, a launcher ends its ranks; killed outright it would leave them.
  const asking = setTimeout(() => {
    late = true;
    child.kill("SIGTERM");
  }, limitMs);
  const killing = setTimeout(() => child.kill("SIGKILL"), limitMs + END_MS);
  const [said, complaint] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const code = await child.exited;
  clearTimeout(asking);
  clearTimeout(killing);
  const how = String(child.signalCode ?? `exit code ${code}`);
  return { said, complaint, end: late ? `${how}, after ${limitMs / 1000} s without an end` : how };
}
