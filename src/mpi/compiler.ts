/**
 * Which compiler wrapper of which MPI the shim is built with: the one that belongs to the
 * launcher. It runs nothing but `mpicc -show`; building is another file's affair.
 */
import { accessSync, constants, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";
import { setting, type Environment, type Family } from "./launcher.ts";
import { parentOf } from "./processes.ts";

/** A compiler wrapper, and what it says of itself. */
export interface Compiler {
  readonly path: string;
  readonly family: Family;
  /** Its `-show` output: the compiler behind it, and its flags. Empty where it does not tell. */
  readonly show: string;
}

/** A wrapper that was looked at and not taken, and why. */
export interface Rejected {
  readonly path: string;
  readonly why: string;
}

/** What was found: a compiler, or none, and what was rejected on the way. */
export interface Search {
  readonly compiler: Compiler | null;
  readonly rejected: readonly Rejected[];
  /** Folders in which there was no wrapper at all. */
  readonly looked: readonly string[];
  /** Was the compiler named by BSYNC_MPICC? Then no other is tried in its place. */
  readonly named: boolean;
}

/** Remembers what a wrapper said, since to ask it takes longer than all the rest of a start. */
export interface Memory {
  get(key: string): string | undefined;
  set(key: string, text: string): void;
}

/** Long enough for a slow file system; a wrapper that hangs must not hang the job. */
const SHOW_TIMEOUT_MS = 20_000;

/** What changes the answer of a wrapper although its file stays the same. */
const WRAPPER_SETTINGS = [
  ...["OMPI_CC", "OMPI_CFLAGS", "OMPI_CPPFLAGS", "OMPI_LDFLAGS", "OMPI_LIBS", "OPAL_PREFIX"],
  ...["MPICH_CC", "MPICH_CFLAGS", "MPICC_PROFILE", "I_MPI_CC", "I_MPI_ROOT"],
];

const LAUNCHER_PROGRAM = /^(?:mpirun|mpiexec|orterun|orted|prterun|prted|hydra_pmi_proxy)/;

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * The folder of the launcher's own programs: of the nearest ancestor that is one (mpirun, or its
 * agent on this node). The surest guide, for its mpicc is of the same installation.
 */
function launcherFolder(): string[] {
  try {
    let pid = process.ppid;
    for (let step = 0; step < 8 && pid > 1; step++) {
      const program = readlinkSync(`/proc/${pid}/exe`);
      if (LAUNCHER_PROGRAM.test(basename(program))) return [dirname(program)];
      pid = parentOf(pid);
    }
  } catch {
    // No /proc, or a process of somebody else: there are the other places.
  }
  return [];
}

/** The folders to look in, the likeliest first. */
function folders(family: Family, env: Environment): string[] {
  const prefixes: string[] = [];
  for (const name of ["OPAL_PREFIX", "MPI_HOME", "MPI_ROOT", "MPI_DIR", "I_MPI_ROOT"]) {
    const prefix = setting(env, name);
    if (prefix !== undefined && isAbsolute(prefix)) prefixes.push(join(prefix, "bin"));
  }
  const path = (setting(env, "PATH") ?? "").split(":").filter(isAbsolute);
  const openMpi = ["/usr/lib64/openmpi/bin", "/opt/openmpi/bin", "/usr/local/openmpi/bin"];
  const mpich = ["/usr/lib64/mpich/bin", "/opt/mpich/bin", "/usr/local/mpich/bin"];
  const usual = family === "mpich" ? [...mpich, ...openMpi] : [...openMpi, ...mpich];
  const all = [...launcherFolder(), ...prefixes, ...path, "/usr/bin", "/usr/local/bin", ...usual];
  return [...new Set(all)];
}

/** Names of the wrapper; Debian keeps both families side by side, told apart by the ending. */
function names(family: Family): string[] {
  if (family === "unknown") return ["mpicc", "mpicc.openmpi", "mpicc.mpich"];
  return [`mpicc.${family}`, "mpicc"];
}

/** The words of a command line that start with `flag`, without it. */
export function flagged(show: string, flag: string): string[] {
  const words = show.split(/\s+/);
  return words.filter((word) => word.startsWith(flag)).map((word) => word.slice(flag.length));
}

/** Whose mpi.h a compiler with these flags would include. */
function familyOf(show: string): Family {
  for (const folder of [...flagged(show, "-I"), "/usr/include", "/usr/local/include"]) {
    try {
      const text = readFileSync(join(folder, "mpi.h"), "latin1");
      if (text.includes("OPEN_MPI") || text.includes("OMPI_")) return "openmpi";
      if (text.includes("MPICH")) return "mpich";
      return "unknown";
    } catch {
      // Not there; the next one.
    }
  }
  return "unknown";
}

function ask(path: string): Compiler | Rejected {
  let result;
  try {
    result = Bun.spawnSync([path, "-show"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: SHOW_TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
  } catch (error) {
    return { path, why: `it does not run: ${error instanceof Error ? error.message : error}` };
  }
  const show = result.stdout.toString().trim();
  if (!result.success || show === "") {
    const said = result.stderr.toString().trim().split("\n")[0];
    const how = result.signalCode ?? `exit code ${result.exitCode}`;
    return { path, why: `\`${path} -show\` failed with ${how}${said ? `: ${said}` : ""}` };
  }
  return { path, family: familyOf(show), show };
}

/**
 * Asks the wrapper at `path`, or `memory` when it was asked before. The file's identity, size and
 * time of change are the key, with the settings that wrappers read: an upgrade changes the file.
 * Should the answer have changed all the same, then what was built by it either still loads, with
 * a libmpi of the ABI it was built for (its soname says so), or fails to, and is built anew.
 */
function askOnce(path: string, env: Environment, memory: Memory): Compiler | Rejected {
  const file = statSync(path);
  const settings = WRAPPER_SETTINGS.map((name) => setting(env, name) ?? "");
  const key = JSON.stringify([path, realpathSync(path), file.size, file.mtimeMs, ...settings]);
  const known = memory.get(key);
  if (known !== undefined) return { path, family: familyOf(known), show: known };
  const answer = ask(path);
  if ("show" in answer) memory.set(key, answer.show);
  return answer;
}

/** The wrapper named by BSYNC_MPICC, which is taken at its word: no other is tried instead. */
function findNamed(name: string, env: Environment, memory: Memory): Search {
  const path = isAbsolute(name) ? name : (Bun.which(name, { PATH: env["PATH"] ?? "" }) ?? name);
  const none = { compiler: null, looked: [], named: true };
  if (!isProgram(path)) {
    return { ...none, rejected: [{ path, why: "BSYNC_MPICC names it, and it is no program" }] };
  }
  const answer = askOnce(path, env, memory);
  if ("show" in answer) return { ...none, compiler: answer, rejected: [] };
  // Some sites' wrappers (Cray's cc) know no -show; to compile with it is the better test.
  return { ...none, compiler: { path, family: "unknown", show: "" }, rejected: [answer] };
}

/** Finds the compiler wrapper for a launcher of `family`. */
export function findCompiler(family: Family, env: Environment, memory: Memory): Search {
  const named = setting(env, "BSYNC_MPICC");
  if (named !== undefined) return findNamed(named, env, memory);
  const rejected: Rejected[] = [];
  const looked: string[] = [];
  for (const folder of folders(family, env)) {
    const paths = names(family).map((name) => join(folder, name));
    const programs = paths.filter(isProgram);
    if (programs.length === 0) looked.push(folder);
    for (const path of programs) {
      const answer = askOnce(path, env, memory);
      if (!("show" in answer)) {
        rejected.push(answer);
      } else if (family !== "unknown" && answer.family !== "unknown" && answer.family !== family) {
        rejected.push({ path, why: `it belongs to ${familyName(answer.family)}` });
      } else {
        return { compiler: answer, rejected, looked, named: false };
      }
    }
  }
  return { compiler: null, rejected, looked, named: false };
}

/** The family's name in a message. */
export function familyName(family: Family): string {
  if (family === "openmpi") return "Open MPI";
  return family === "mpich" ? "MPICH" : "an MPI of unknown family";
}
