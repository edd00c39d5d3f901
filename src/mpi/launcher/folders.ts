import { accessSync, constants, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";
import { setting, type Family } from "./launcher.ts";
import { linkOfProc } from "../../os/proc.ts";
import { parentOf } from "../../os/processes.ts";
import type { Environment } from "../../os/settings.ts";

/** The folders in which an MPI's programs are searched. */

const LAUNCHER_PROGRAM = /^(?:mpirun|mpiexec|orterun|orted|prterun|prted|hydra_pmi_proxy)/;

export function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * The folder of the nearest ancestor that is a launcher program (mpirun, or its agent on this
 * node). It is the surest guide: its mpicc belongs to the same installation.
 */
export function launcherFolder(): string[] {
  let pid = process.ppid;
  for (let step = 0; step < 8 && pid > 1; step++) {
    const program = linkOfProc(pid, "exe");
    // Another user's process, or no /proc: other folders remain.
    if (program === null) return [];
    if (LAUNCHER_PROGRAM.test(basename(program))) return [dirname(program)];
    pid = parentOf(pid);
  }
  return [];
}

/** The folders in which a shell looks for programs. */
export function shellFolders(env: Environment): string[] {
  return (setting(env, "PATH") ?? "").split(":").filter(isAbsolute);
}

/**
 * The folders in which an MPI's programs are searched, the likeliest first: `near`, those that
 * variables give as an MPI's place, those of PATH, and the usual ones.
 */
export function searchFolders(
  family: Family,
  env: Environment,
  near: readonly string[] = [],
): string[] {
  const prefixes: string[] = [];
  for (const name of ["OPAL_PREFIX", "MPI_HOME", "MPI_ROOT", "MPI_DIR", "I_MPI_ROOT"]) {
    const prefix = setting(env, name);
    if (prefix !== undefined && isAbsolute(prefix)) prefixes.push(join(prefix, "bin"));
  }
  const openMpi = ["/usr/lib64/openmpi/bin", "/opt/openmpi/bin", "/usr/local/openmpi/bin"];
  const mpich = ["/usr/lib64/mpich/bin", "/opt/mpich/bin", "/usr/local/mpich/bin"];
  const usual = family === "mpich" ? [...mpich, ...openMpi] : [...openMpi, ...mpich];
  const all = [...near, ...prefixes, ...shellFolders(env), "/usr/bin", "/usr/local/bin", ...usual];
  return [...new Set(all)];
}
