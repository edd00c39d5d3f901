/**
 * Loads the shim of the launcher's MPI: from the cache, newly built, or compiled by Bun's own C
 * compiler; or reports all that was tried.
 */
import { debug } from "../../os/debug.ts";
import { MpiError, textOf } from "../../errors.ts";
import { buildShim, type Built } from "./build.ts";
import { Cache } from "./cache.ts";
import { familyName, findCompiler, type Compiler, type Search } from "./find-mpicc.ts";
import { isOther, type Family, type Launcher } from "../launcher/launcher.ts";
import { performance } from "../../os/natives.ts";
import { open, type Shim } from "./symbols.ts";
import { findHeaders, headersOf, loadTiny, type Headers } from "./tinycc.ts";
import type { Environment } from "../../os/settings.ts";

/** The shim of `compiler`, from the cache or built now; built again if it does not load. */
function loadBuilt(compiler: Compiler, cache: Cache): Shim {
  const first = buildShim(compiler, cache);
  debug(`${first.fresh ? `built by ${compiler.path}` : "found"}: ${first.path}`);
  let built: Built = first;
  try {
    return open(first.path);
  } catch (error) {
    // A fresh build would not come out better.
    if (first.fresh) throw error;
    debug(`${first.path} does not load, building it again: ${textOf(error)}`);
    built = buildShim(compiler, cache, first);
  }
  return open(built.path);
}

/** For messages: how to install an MPI with all that bsync needs. */
export function packagesOf(family: Family): string {
  const openMpi = "apt install openmpi-bin libopenmpi-dev";
  const mpich = "apt install mpich libmpich-dev";
  if (family === "unknown") return `${openMpi}, or ${mpich}`;
  return family === "openmpi" ? openMpi : mpich;
}

/** For messages: what to do if no shim can be built for an MPI. */
export function remedy(family: Family): string {
  return (
    `install its development files (${packagesOf(family)}), or name its mpicc ` + "with BSYNC_MPICC"
  );
}

function describe(search: Search): string {
  const rejected = search.rejected.map(({ path, why }) => `${path} (${why})`);
  const parts: string[] = [];
  if (rejected.length > 0) parts.push(`rejected ${rejected.join(", ")}`);
  if (search.looked.length > 0) parts.push(`found no mpicc in ${search.looked.join(", ")}`);
  return parts.join("; ");
}

/** Instead of a launcher, for a program that is by itself a job of one. */
export const ALONE: Launcher = { family: "unknown", name: "nobody", rank: 0, size: 1 };

/** The shim of this launcher's family. */
export function loadShim(launcher: Launcher, env: Environment): Shim {
  const begin = performance.now();
  const shim = load(launcher, env);
  if (isOther(launcher.family, shim.family)) throw mismatch(launcher, shim.family, shim.origin);
  debug(`shim of ${familyName(shim.family)} in ${(performance.now() - begin).toFixed(1)} ms`);
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
      return loadBuilt(compiler, cache);
    } catch (error) {
      failures.push(textOf(error));
    }
  }
  const headers = headersFor(search, launcher.family);
  if (headers) {
    debug(`using Bun's own C compiler: ${failures.join("; ") || describe(search)}`);
    try {
      return loadTiny(headers);
    } catch (error) {
      failures.push(`Bun's own C compiler, in its place: ${textOf(error)}`);
    }
  } else if (!search.named && !compiler) {
    failures.push("found no mpi.h with its library in the usual folders");
  }
  const problem =
    launcher === ALONE
      ? "Cannot load MPI, which bsync/mpi needs"
      : `Cannot load MPI, which ${launcher.name} started this program for`;
  const found = [describe(search), ...failures].filter(Boolean).join("; ");
  throw new MpiError(`${problem}: ${found}; ${remedy(launcher.family)}`);
}

/** The headers for Bun's own compiler; null if BSYNC_MPICC names a wrapper that gives none. */
function headersFor(search: Search, family: Family): Headers | null {
  if (search.compiler) return headersOf(search.compiler);
  return search.named ? null : findHeaders(family);
}

function mismatch(launcher: Launcher, family: Family, origin: string): MpiError {
  return new MpiError(
    `Cannot start MPI: ${launcher.name} started this program, but ${origin} belongs to ` +
      `${familyName(family)}, under which every rank would be a job of its own; start it with ` +
      `${familyName(family)}'s mpirun, or name the mpicc of ${familyName(launcher.family)} ` +
      `with BSYNC_MPICC`,
  );
}
