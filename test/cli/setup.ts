/** Runs the command as its users do, in set-ups that are wrong: real processes, real MPIs. */
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Report } from "../../src/cli/doctor/report.ts";
import { type Outcome, run, type TestFamily } from "../mpi/launch.ts";

const ROOT = join(import.meta.dir, "../..");
export const MAIN = join(ROOT, "src/cli/main.ts");

/** A folder that is removed at the end of the test. */
export async function folder(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), "bsync-cli-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Nothing that a user may have set; every test says what it needs. */
const PLAIN = {
  BSYNC_MPICC: "",
  BSYNC_USE_MPI: "",
  BSYNC_DEBUG: "",
  FORCE_COLOR: "",
  NO_COLOR: "",
};

/** The command line that starts so many ranks. */
export function ranks(family: TestFamily, count: number, ...flags: string[]): string[] {
  const root = family === "openmpi" ? ["--allow-run-as-root", "--oversubscribe"] : [];
  return [`mpirun.${family}`, ...root, ...flags, "-n", String(count)];
}

/** Runs `bsync …`, behind the command line `before`. */
export function bsync(
  args: string[],
  env: Record<string, string> = {},
  before: string[] = [],
): Promise<Outcome> {
  return run([...before, process.execPath, MAIN, ...args], { ...PLAIN, ...env });
}

/** A report, with the codes of its problems. */
export interface Examined {
  readonly report: Report;
  readonly errors: string[];
  readonly warnings: string[];
  readonly exitCode: number;
}

/** Runs `bsync doctor --json`. */
export async function doctor(
  env: Record<string, string>,
  before: string[] = [],
): Promise<Examined> {
  const { exitCode, stdout, stderr } = await bsync(["doctor", "--json"], env, before);
  let report: Report;
  try {
    report = JSON.parse(stdout) as Report;
  } catch {
    throw new Error(`no report: exit code ${exitCode}\n${stdout}${stderr}`);
  }
  const codes = (level: string) =>
    report.problems.filter((problem) => problem.level === level).map(({ code }) => code);
  return { report, errors: codes("error"), warnings: codes("warning"), exitCode };
}

/** The text of a problem, as doctor prints it. */
export function textOf({ report }: Examined, code: string): string {
  return report.problems.find((problem) => problem.code === code)?.text ?? `there is no ${code}`;
}

/** An executable shell script. */
export async function script(path: string, text: string): Promise<string> {
  await Bun.write(path, `#!/bin/sh\n${text}\n`);
  await chmod(path, 0o755);
  return path;
}

/** May this user hide files from a process? Some containers forbid it. */
export const HIDES = Bun.spawnSync(["unshare", "--map-root-user", "--mount", "true"], {
  stdin: "ignore",
  stderr: "ignore",
}).success;

if (!HIDES) {
  console.error("\n*** no namespaces here: what needs files to be missing is NOT tested ***\n");
}

/**
 * A command line before another: that one runs where these programs and folders are not to be seen, and
 * `/dev/shm` is as small as `shm` says. Namespaces of users and of mounts, which need no rights.
 */
export async function without(
  work: string,
  { paths = [], shm }: { paths?: string[]; shm?: string },
): Promise<string[]> {
  const empty = join(work, "empty");
  await mkdir(empty, { recursive: true });
  const hide = `if [ -d "$path" ]; then mount --bind "${empty}" "$path"; else mount --bind /dev/null "$path"; fi`;
  const lines = ["set -e", "while [ $1 != -- ]; do", 'path="$1"; shift', hide, "done; shift"];
  if (shm !== undefined) lines.push(`mount -t tmpfs -o size=${shm} tmpfs /dev/shm`);
  const path = await script(join(work, "without"), [...lines, 'exec "$@"'].join("\n"));
  return ["unshare", "--map-root-user", "--mount", path, ...paths, "--"];
}
