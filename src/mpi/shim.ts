/**
 * Loads the shim: the one in the cache, a new one, or one made by Bun's own C compiler. The only
 * place that knows the symbols of `c/bsync_mpi.h`, which is their manual.
 */
import { cc, dlopen } from "bun:ffi";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MpiError } from "../errors.ts";
import { buildShim, writeSource, type Built } from "./build.ts";
import { Cache } from "./cache.ts";
import { familyName, findCompiler, flagged, type Compiler, type Search } from "./compiler.ts";
import { setting, type Environment, type Family, type Launcher } from "./launcher.ts";

/** BSYNC_MPI_ABI of the header that this file is written against. */
const ABI = 1;

const SYMBOLS = {
  bsync_mpi_abi: { args: [], returns: "int" },
  bsync_mpi_family: { args: [], returns: "int" },
  bsync_mpi_init: { args: ["int", "buffer"], returns: "int" },
  bsync_mpi_poll: { args: ["buffer", "int", "buffer"], returns: "int" },
  bsync_mpi_probe: { args: ["int", "int", "buffer"], returns: "int" },
  bsync_mpi_receive: { args: ["buffer", "int", "int", "int"], returns: "int" },
  bsync_mpi_send: { args: ["buffer", "int", "int", "int"], returns: "int" },
  bsync_mpi_test: { args: ["int"], returns: "int" },
  bsync_mpi_pending: { args: [], returns: "int" },
  bsync_mpi_wait: { args: ["int", "int", "int", "int"], returns: "int" },
  bsync_mpi_error_text: { args: ["int", "buffer", "int"], returns: "int" },
  bsync_mpi_library_version: { args: ["buffer", "int"], returns: "int" },
  bsync_mpi_abort: { args: ["int"], returns: "int" },
  bsync_mpi_finalize: { args: [], returns: "int" },
} as const;

/** The loaded shim. It is never closed: MPI cannot be unloaded, nor started again. */
export interface Shim {
  readonly symbols: ReturnType<typeof dlopen<typeof SYMBOLS>>["symbols"];
  readonly family: Family;
  /** Where it came from, for messages. */
  readonly origin: string;
}

/** Says `text` on standard error when BSYNC_DEBUG asks for it. */
export function debug(env: Environment, text: string): void {
  const wanted = setting(env, "BSYNC_DEBUG");
  if (wanted !== undefined && wanted !== "0") process.stderr.write(`bsync: ${text}\n`);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function check(library: ReturnType<typeof dlopen<typeof SYMBOLS>>, origin: string): Shim {
  const { symbols } = library;
  const abi = symbols.bsync_mpi_abi();
  if (abi !== ABI) {
    library.close();
    throw new Error(`${origin} has version ${abi} of the shim's interface, not ${ABI}`);
  }
  const number = symbols.bsync_mpi_family();
  return { symbols, origin, family: number === 1 ? "openmpi" : number === 2 ? "mpich" : "unknown" };
}

/** The shim of `compiler`, from the cache or made now; made a second time if it does not load. */
function loadBuilt(compiler: Compiler, cache: Cache, env: Environment): Shim {
  const first = buildShim(compiler, cache);
  debug(env, `${first.fresh ? `built by ${compiler.path}` : "found"}: ${first.path}`);
  let built: Built = first;
  try {
    return check(dlopen(first.path, SYMBOLS), first.path);
  } catch (error) {
    // One that was just made would not come out any better.
    if (first.fresh) throw error;
    debug(env, `${first.path} does not load, building it again: ${textOf(error)}`);
    built = buildShim(compiler, cache, first);
  }
  return check(dlopen(built.path, SYMBOLS), built.path);
}

/** Where an MPI's header and library are. */
interface Headers {
  readonly include: string[];
  readonly folders: string[];
  readonly library: string;
}

/** The folders that packagers use, for a machine that has MPI's header but no mpicc. */
function findHeaders(family: Family): Headers | null {
  const triplet = `${process.arch === "x64" ? "x86_64" : "aarch64"}-linux-gnu`;
  const places: [Family, string, string, string][] = [
    ["openmpi", `/usr/lib/${triplet}/openmpi/include`, `/usr/lib/${triplet}/openmpi/lib`, "mpi"],
    ["mpich", `/usr/include/${triplet}/mpich`, `/usr/lib/${triplet}`, "mpich"],
    ["openmpi", "/usr/include/openmpi-x86_64", "/usr/lib64/openmpi/lib", "mpi"],
    ["mpich", "/usr/include/mpich-x86_64", "/usr/lib64/mpich/lib", "mpi"],
    ["openmpi", "/opt/openmpi/include", "/opt/openmpi/lib", "mpi"],
    ["mpich", "/opt/mpich/include", "/opt/mpich/lib", "mpi"],
  ];
  for (const [whose, include, folder, library] of places) {
    if (family !== "unknown" && family !== whose) continue;
    if (!existsSync(join(include, "mpi.h")) || !existsSync(join(folder, `lib${library}.so`)))
      continue;
    return { include: [include], folders: [folder], library };
  }
  return null;
}

function headersOf(compiler: Compiler): Headers | null {
  const library = flagged(compiler.show, "-l").find((name) => name.startsWith("mpi"));
  if (library === undefined) return null;
  const { show } = compiler;
  return { include: flagged(show, "-I"), folders: flagged(show, "-L"), library };
}

/** Compiles the shim into memory by the compiler inside Bun: for machines that have none. */
function loadTiny(headers: Headers): Shim {
  const work = mkdtempSync(join(tmpdir(), "bsync-"));
  try {
    const library = cc({
      source: writeSource(work),
      include: headers.include,
      library: [headers.library],
      flags: headers.folders.map((folder) => `-L${folder}`),
      symbols: SYMBOLS,
    });
    return check(library, `Bun's own C compiler with ${headers.include.join(", ")}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What to install, for a message. */
function remedy(family: Family): string {
  const openMpi = "apt install openmpi-bin libopenmpi-dev";
  const mpich = "apt install mpich libmpich-dev";
  const packages =
    family === "openmpi" ? openMpi : family === "mpich" ? mpich : `${openMpi}, or ${mpich}`;
  return `install its development files (${packages}), or name its mpicc with BSYNC_MPICC`;
}

function describe(search: Search): string {
  const rejected = search.rejected.map(({ path, why }) => `${path} (${why})`);
  const parts: string[] = [];
  if (rejected.length > 0) parts.push(`rejected ${rejected.join(", ")}`);
  if (search.looked.length > 0) parts.push(`found no mpicc in ${search.looked.join(", ")}`);
  return parts.join("; ");
}

/** The shim of this launcher's family. */
export function loadShim(launcher: Launcher, env: Environment): Shim {
  const begin = performance.now();
  const shim = load(launcher, env);
  if (
    launcher.family !== "unknown" &&
    shim.family !== "unknown" &&
    shim.family !== launcher.family
  ) {
    throw mismatch(launcher, shim.family, shim.origin);
  }
  debug(env, `shim of ${familyName(shim.family)} in ${(performance.now() - begin).toFixed(1)} ms`);
  return shim;
}

function load(launcher: Launcher, env: Environment): Shim {
  const cache = new Cache(env);
  const search = findCompiler(launcher.family, env, cache);
  const { compiler } = search;
  if (search.named && compiler && isOther(launcher.family, compiler.family)) {
    throw mismatch(launcher, compiler.family, `BSYNC_MPICC=${compiler.path}`);
  }
  const failures: string[] = [];
  if (compiler) {
    try {
      return loadBuilt(compiler, cache, env);
    } catch (error) {
      failures.push(textOf(error));
    }
  }
  const headers = compiler
    ? headersOf(compiler)
    : search.named
      ? null
      : findHeaders(launcher.family);
  if (headers) {
    debug(env, `no C compiler, using Bun's own: ${failures.join("; ") || describe(search)}`);
    try {
      return loadTiny(headers);
    } catch (error) {
      failures.push(`Bun's own C compiler, in its place: ${textOf(error)}`);
    }
  }
  const deed = `Cannot load MPI, which ${launcher.name} started this program for`;
  const found = [...failures, describe(search)].filter(Boolean).join("; ");
  throw new MpiError(`${deed}: ${found}; ${remedy(launcher.family)}`);
}

function isOther(launcher: Family, family: Family): boolean {
  return launcher !== "unknown" && family !== "unknown" && launcher !== family;
}

function mismatch(launcher: Launcher, family: Family, origin: string): MpiError {
  return new MpiError(
    `Cannot start MPI: ${launcher.name} started this program, but ${origin} belongs to ` +
      `${familyName(family)}, under which every rank would be a job of its own; start it with ` +
      `${familyName(family)}'s mpirun, or name the mpicc of ${familyName(launcher.family)} ` +
      `with BSYNC_MPICC`,
  );
}
