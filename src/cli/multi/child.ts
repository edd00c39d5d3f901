/** Starts the process of a job: its program, environment and folder. */
import { existsSync, mkdirSync } from "node:fs";
import { taskContext } from "../../context.ts";
import { launcherHere } from "../../mpi/launcher/ancestry.ts";
import { withoutLauncher } from "../../mpi/launcher/launcher.ts";
import { programFor, shellFor } from "./program.ts";
import { quoted } from "./quoting.ts";
import { asPath, isOdd } from "./raw-text.ts";

/** What a worker needs to start a job. */
export interface ChildSpec {
  readonly sequence: number;
  readonly slot: number;
  /** For a shell. */
  readonly line: string;
  /** The same in words, if no shell is needed. */
  readonly words: readonly string[] | null;
  readonly folder: string;
}

const ZERO = "a zero byte is in its command, and no argument can have one; -0 ends values at them";

let environment: Record<string, string> | null = null;

/** The environment of jobs: that of this process, without what makes it a rank. */
function baseEnvironment(): Record<string, string> {
  if (environment !== null) return environment;
  environment = withoutLauncher(process.env);
  // Where a library has found the launcher in a parent, that one's variables are the same.
  launcherHere();
  // Batch systems send these to each process; the farm alone decides what they mean.
  for (const signal of ["SIGTERM", "SIGUSR1"] as const) process.on(signal, () => {});
  return environment;
}

let lastFolder = "";

/** Makes a folder unless it was there for the last job. */
function makeFolder(folder: string): void {
  if (folder === lastFolder && existsSync(folder)) return;
  mkdirSync(asPath(folder), { recursive: true });
  lastFolder = folder;
}

/** Starts a job whose outputs go to these descriptors. */
export function startChild(
  spec: ChildSpec,
  [stdout, stderr]: readonly [number, number],
): Bun.Subprocess {
  if (spec.line.includes("\0")) throw new Error(ZERO);
  makeFolder(spec.folder);
  const env = baseEnvironment();
  const { worker } = taskContext();
  const isAway = isOdd(spec.folder);
  const spawn = (command: string[]) =>
    Bun.spawn(command, {
      cwd: isAway ? "/" : spec.folder,
      env: {
        ...env,
        PARALLEL_SEQ: String(spec.sequence),
        PARALLEL_JOBSLOT: String(spec.slot),
        BSYNC_WORKER: String(worker),
      },
      stdin: "ignore",
      stdout,
      stderr,
      // A group of its own, so that it can be ended as one.
      detached: true,
    });
  // The runtime goes to no folder whose name is no UTF-8: the shell does.
  if (isAway) return spawn(shellFor(`cd ${quoted(spec.folder)} || exit\n${spec.line}`, env));
  try {
    return spawn(programFor(spec, env));
  } catch (error) {
    // A script that names no interpreter: shells run it themselves.
    if (!(error instanceof Error && "code" in error && error.code === "ENOEXEC")) throw error;
    return spawn(shellFor(spec.line, env));
  }
}
