/**
 * Finds the compiler wrapper to build the shim with: the one of the launcher's MPI. Runs nothing
 * but `mpicc -show`; build.ts builds.
 */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { textOf } from "../../errors.ts";
import { setting, type Family } from "../launcher/launcher.ts";
import { JSON } from "../../os/natives.ts";
import { ask, type Answer } from "../../os/ask.ts";
import { findProtocol, speaks, type Memory } from "../launcher/protocols.ts";
import { isProgram, launcherFolder, searchFolders } from "../launcher/folders.ts";
import type { Environment } from "../../os/settings.ts";

/** A compiler wrapper, and its own description. */
export interface Compiler {
  readonly path: string;
  readonly family: Family;
  /** Its `-show` output: the compiler behind it, and its flags. Empty if it does not tell. */
  readonly show: string;
}

/** A wrapper that was not taken, and why. */
export interface Rejected {
  readonly path: string;
  readonly why: string;
  /** It works, but belongs to another MPI than the wanted one. */
  readonly other?: true;
}

/** The result: a compiler, or none, and the wrappers rejected on the way. */
export interface Search {
  readonly compiler: Compiler | null;
  readonly rejected: readonly Rejected[];
  /** Folders without a wrapper. */
  readonly looked: readonly string[];
  /** Whether BSYNC_MPICC named the compiler: then no other is tried instead. */
  readonly named: boolean;
}

/** Long enough for a slow file system; a wrapper that hangs must not hang the job. */
const SHOW_TIMEOUT_MS = 20_000;

/** Variables that change a wrapper's answer although its file stays the same. */
const WRAPPER_SETTINGS = [
  ...["OMPI_CC", "OMPI_CFLAGS", "OMPI_CPPFLAGS", "OMPI_LDFLAGS", "OMPI_LIBS", "OPAL_PREFIX"],
  ...["MPICH_CC", "MPICH_CFLAGS", "MPICC_PROFILE", "I_MPI_CC", "I_MPI_ROOT"],
];

/** Names of the wrapper; Debian keeps both families side by side, with different endings. */
function names(family: Family): string[] {
  if (family === "unknown") return ["mpicc", "mpicc.openmpi", "mpicc.mpich"];
  return [`mpicc.${family}`, "mpicc"];
}

/** The words of a command line that start with `flag`, with the flag removed. */
export function flagged(show: string, flag: string): string[] {
  const words = show.split(/\s+/);
  return words.filter((word) => word.startsWith(flag)).map((word) => word.slice(flag.length));
}

/** The mpi.h that a compiler with these flags would include; null if there is none. */
function headerOf(show: string): string | null {
  for (const folder of [...flagged(show, "-I"), "/usr/include", "/usr/local/include"]) {
    try {
      return readFileSync(join(folder, "mpi.h"), "latin1");
    } catch {
      // Not there: try the next one.
    }
  }
  return null;
}

/** The family whose mpi.h a compiler with these flags would include. */
function familyOf(show: string): Family {
  const header = headerOf(show) ?? "";
  if (header.includes("OPEN_MPI") || header.includes("OMPI_")) return "openmpi";
  return header.includes("MPICH") ? "mpich" : "unknown";
}

/** The MPI version in a wrapper's mpi.h; null if it has none; undefined without an mpi.h. */
export function headerVersion(compiler: Compiler): string | null | undefined {
  const header = headerOf(compiler.show);
  if (header === null) return undefined;
  const mpich = /^#define MPICH_VERSION\s+"([^"]+)"/m.exec(header)?.[1];
  if (mpich !== undefined) return mpich;
  const parts = ["MAJOR", "MINOR", "RELEASE"].map(
    (part) => new RegExp(`^#define OMPI_${part}_VERSION\\s+(\\d+)`, "m").exec(header)?.[1],
  );
  return parts.includes(undefined) ? null : parts.join(".");
}

function askWrapper(path: string): Compiler | Rejected {
  let answer: Answer;
  try {
    answer = ask([path, "-show"], SHOW_TIMEOUT_MS);
  } catch (error) {
    return { path, why: `it does not run: ${textOf(error)}` };
  }
  const show = answer.stdout.trim();
  if (!answer.success || show === "") {
    const said = answer.stderr.trim().split("\n")[0];
    return { path, why: `\`${path} -show\` failed with ${answer.end}${said ? `: ${said}` : ""}` };
  }
  return { path, family: familyOf(show), show };
}

/**
 * Asks the wrapper at `path`, or `memory` if it was asked before. The key is the file's identity,
 * size and time of change, with the settings that wrappers read: an upgrade changes the file. If
 * the answer has changed all the same, the shim built by it either still loads, with a libmpi of
 * the ABI it was built for (its soname says so), or fails to load, and is built anew.
 */
function askOnce(path: string, env: Environment, memory: Memory): Compiler | Rejected {
  const file = statSync(path);
  const settings = WRAPPER_SETTINGS.map((name) => setting(env, name) ?? "");
  const key = JSON.stringify([path, realpathSync(path), file.size, file.mtimeMs, ...settings]);
  const known = memory.get(key);
  if (known !== undefined) return { path, family: familyOf(known), show: known };
  const answer = askWrapper(path);
  if ("show" in answer) memory.set(key, answer.show);
  return answer;
}

/** The wrapper named by BSYNC_MPICC, as it is: no other is tried instead. */
function findNamed(name: string, env: Environment, memory: Memory): Search {
  const path = isAbsolute(name) ? name : (Bun.which(name, { PATH: env["PATH"] ?? "" }) ?? name);
  const none = { compiler: null, looked: [], named: true };
  if (!isProgram(path)) {
    return { ...none, rejected: [{ path, why: "BSYNC_MPICC names it, and it is no program" }] };
  }
  const answer = askOnce(path, env, memory);
  if ("show" in answer) return { ...none, compiler: answer, rejected: [] };
  // Some sites' wrappers (Cray's cc) know no -show; compiling with them is the better test.
  return { ...none, compiler: { path, family: "unknown", show: "" }, rejected: [answer] };
}

/** The wrappers of each folder, with their answers. */
function* wrappers(
  family: Family,
  env: Environment,
  memory: Memory,
  folders: readonly string[],
): Iterable<{ folder: string; answer: Compiler | Rejected | null }> {
  for (const folder of folders) {
    const programs = names(family)
      .map((name) => join(folder, name))
      .filter(isProgram);
    if (programs.length === 0) yield { folder, answer: null };
    for (const path of programs) yield { folder, answer: askOnce(path, env, memory) };
  }
}

/**
 * Finds the compiler wrapper for a launcher of `family`; `near`: the folders to search first, those
 * of the launcher's own programs. A launcher that serves any MPI gets the first wrapper that knows
 * its protocol; if none seems to, the first.
 */
export function findCompiler(
  family: Family,
  env: Environment,
  memory: Memory,
  near: readonly string[] = launcherFolder(),
): Search {
  const named = setting(env, "BSYNC_MPICC");
  if (named !== undefined) return findNamed(named, env, memory);
  const protocol = family === "unknown" ? findProtocol(env) : null;
  const rejected: Rejected[] = [];
  const looked: string[] = [];
  let first: Compiler | null = null;
  for (const { folder, answer } of wrappers(
    family,
    env,
    memory,
    searchFolders(family, env, near),
  )) {
    if (answer === null) {
      looked.push(folder);
    } else if (!("show" in answer)) {
      rejected.push(answer);
    } else if (family !== "unknown" && answer.family !== "unknown" && answer.family !== family) {
      const why = `it belongs to ${familyName(answer.family)}`;
      rejected.push({ path: answer.path, why, other: true });
    } else if (protocol !== null && !speaks(answer.family, folder, protocol, memory)) {
      first ??= answer;
      const why = `${familyName(answer.family)} was not built for ${protocol} here`;
      rejected.push({ path: answer.path, why, other: true });
    } else {
      return { compiler: answer, rejected, looked, named: false };
    }
  }
  return { compiler: first, rejected, looked, named: false };
}

/** Every wrapper found, of any MPI, each once; and those that do not work. */
export function findAllCompilers(
  env: Environment,
  memory: Memory,
): { compilers: Compiler[]; rejected: Rejected[] } {
  const compilers = new Map<string, Compiler>();
  const rejected = new Map<string, Rejected>();
  for (const { answer } of wrappers("unknown", env, memory, searchFolders("unknown", env))) {
    if (answer === null) continue;
    if (!("show" in answer)) rejected.set(answer.path, answer);
    // Another name or a symbolic link leads to the same installation.
    else if (!compilers.has(answer.show)) compilers.set(answer.show, answer);
  }
  return { compilers: [...compilers.values()], rejected: [...rejected.values()] };
}

/** The family's name in a message. */
export function familyName(family: Family): string {
  if (family === "openmpi") return "Open MPI";
  return family === "mpich" ? "MPICH" : "an MPI of unknown family";
}
