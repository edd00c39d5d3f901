/** The mpiruns of this machine, to show to people; programs need none. */
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { ask } from "../../os/ask.ts";
import { withoutLauncher, type Family } from "./launcher.ts";
import { isProgram, searchFolders, shellFolders } from "./folders.ts";
import type { Environment } from "../../os/settings.ts";

/** A program that starts the jobs of an MPI. */
export interface Mpirun {
  /** The first place where it was found: the folders of PATH come first. */
  readonly path: string;
  /** Other paths of the same program. */
  readonly aliases: readonly string[];
  /** The program itself, behind all symbolic links. */
  readonly program: string;
  readonly family: Family;
  /** null if it does not tell. */
  readonly version: string | null;
}

/** Debian keeps both families side by side, with different endings. */
const NAMES = ["mpirun", "mpiexec", "mpirun.openmpi", "mpirun.mpich", "mpiexec.hydra", "orterun"];

/** How each family presents itself. */
const SIGNATURES: readonly [Family, RegExp][] = [
  ["openmpi", /\((?:Open MPI|OpenRTE|PRTE)\)\s+v?(\d[\w.]*)/],
  ["mpich", /(?:HYDRA|MPICH)[^]*?Version:\s+(\d[\w.]*)/],
  ["mpich", /Intel\(R\) MPI Library.*Version (\d[\w.]*)/],
];

/** Long enough for a slow file system. */
const TIMEOUT_MS = 20_000;

/** Every mpirun found, each once; the one that a shell would start comes first. */
export function findMpiruns(env: Environment): Mpirun[] {
  const paths = new Map<string, string[]>();
  for (const folder of searchFolders("unknown", env, shellFolders(env))) {
    for (const path of NAMES.map((name) => join(folder, name)).filter(isProgram)) {
      const program = realpathSync(path);
      const known = paths.get(program) ?? [];
      if (!known.includes(path)) paths.set(program, [...known, path]);
    }
  }
  return [...paths].map(([program, [path = program, ...aliases]]) => {
    const said = askVersion(path, env);
    for (const [family, pattern] of SIGNATURES) {
      const version = pattern.exec(said)?.[1];
      if (version !== undefined) return { path, aliases, program, family, version };
    }
    return { path, aliases, program, family: "unknown", version: null };
  });
}

function askVersion(path: string, env: Environment): string {
  try {
    // A launcher that takes itself for a rank may wait for a launcher.
    const { stdout, stderr } = ask([path, "--version"], TIMEOUT_MS, withoutLauncher(env));
    return stdout + stderr;
  } catch {
    // It does not run: no version.
    return "";
  }
}
