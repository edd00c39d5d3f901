/** How the command prints, and which process: colours only on a terminal, lines as wide as it. */
import { launcherHere } from "../mpi/launcher/ancestry.ts";
import { findLauncher, findStrayTask, setting } from "../mpi/launcher/launcher.ts";
import type { Environment } from "../os/settings.ts";

export interface Style {
  /** Columns of a line. */
  readonly width: number;
  /** Colours a text, or returns it unchanged. */
  readonly paint: (colour: Colour, text: string) => string;
}

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

export type Colour = keyof typeof CODES;

const USUAL_WIDTH = 100;
const NARROWEST = 60;

/** `NO_COLOR` and `FORCE_COLOR` are those of no-color.org and force-color.org. */
export function style(output: { isTTY?: boolean; columns?: number }, env: Environment): Style {
  // Open MPI's mpirun gives rank 0 a terminal of its own, wherever its own output goes.
  const terminal = output.isTTY === true && findLauncher(env) === null;
  const forced = setting(env, "FORCE_COLOR");
  const wanted = forced === undefined ? terminal : forced !== "0";
  const coloured = setting(env, "NO_COLOR") === undefined && wanted;
  return {
    width: terminal ? Math.max(output.columns ?? USUAL_WIDTH, NARROWEST) : USUAL_WIDTH,
    paint: (colour, text) => (coloured ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text),
  };
}

/** Whether this process speaks for its job: rank 0 does, and a process that is no rank. */
export function speaks(env: Environment = process.env): boolean {
  const launcher = env === process.env ? launcherHere() : findLauncher(env);
  return (launcher?.rank ?? findStrayTask(env)?.task ?? 0) === 0;
}

/** Writes to standard output. A reader that stops early (`| head`) is no error. */
export async function print(text: string): Promise<void> {
  try {
    await Bun.write(Bun.stdout, text);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPIPE")) throw error;
  }
}
