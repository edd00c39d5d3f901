/** Starts scripts under either MPI's mpirun, for tests. Nothing is mocked. */

export const FAMILIES = ["openmpi", "mpich"] as const;
export type TestFamily = (typeof FAMILIES)[number];

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A job that takes longer hangs. Machines that run many tests at once are slow. */
const LIMIT_MS = 50_000;

/** Runs a command; past the limit it is ended, and the promise rejects with what it had said. */
export async function run(
  command: string[],
  env: Record<string, string> = {},
  limitMs = LIMIT_MS,
): Promise<Outcome> {
  await using child = Bun.spawn(command, {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    // The launcher ends its ranks when it is asked to; killed outright it would leave them.
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), 3_000).unref();
  }, limitMs);
  const [exitCode, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  clearTimeout(timer);
  if (late) throw new Error(`${command.join(" ")} hung\n${stdout}\n${stderr}`);
  return { exitCode, stdout, stderr };
}

/** The command line that runs `script` with this Bun on `ranks` ranks. */
export function mpirunCommand(family: TestFamily, ranks: number, script: string): string[] {
  const options = family === "openmpi" ? ["--allow-run-as-root", "--oversubscribe"] : [];
  return [`mpirun.${family}`, ...options, "-n", String(ranks), process.execPath, "run", script];
}

/** Runs a program, which need not be Bun's, on `ranks` ranks to its end. */
export function mpirunProgram(
  family: TestFamily,
  ranks: number,
  program: readonly string[],
  env: Record<string, string> = {},
): Promise<Outcome> {
  const command = mpirunCommand(family, ranks, "").slice(0, -3);
  return run([...command, ...program], { ...AS_ROOT, ...env });
}

/** Open MPI wants to be told that it may run as root. */
export const AS_ROOT = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" };

/** Runs `script` on `ranks` ranks to its end. */
export function mpirun(
  family: TestFamily,
  ranks: number,
  script: string,
  args: string[] = [],
  env: Record<string, string> = {},
): Promise<Outcome> {
  return run([...mpirunCommand(family, ranks, script), ...args], { ...AS_ROOT, ...env });
}
