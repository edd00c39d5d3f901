/**
 * The MPIs of this machine: each mpirun with the mpicc that its jobs would use, and each mpicc
 * without one.
 */
import { dirname } from "node:path";
import { textOf } from "../../errors.ts";
import { buildShim } from "../../mpi/shim/build.ts";
import type { Cache } from "../../mpi/shim/cache.ts";
import {
  type Compiler,
  findAllCompilers,
  findCompiler,
  headerVersion,
  type Rejected,
} from "../../mpi/shim/find-mpicc.ts";
import type { Family } from "../../mpi/launcher/launcher.ts";
import { findMpiruns, type Mpirun } from "../../mpi/launcher/mpirun.ts";
import type { MpiccFacts } from "./report.ts";
import type { Environment } from "../../os/settings.ts";

export interface Installation {
  readonly family: Family;
  readonly mpirun: Mpirun | null;
  readonly compiler: Compiler | null;
}

/** All installations, and the wrappers that do not work. */
export interface Installations {
  readonly found: readonly Installation[];
  readonly broken: readonly Rejected[];
}

export function findInstallations(env: Environment, cache: Cache): Installations {
  const all = findAllCompilers(env, cache);
  const broken = new Map(all.rejected.map((one) => [one.path, one]));
  const theirs = new Set<string | undefined>();
  const started = findMpiruns(env).map((mpirun): Installation => {
    const near = [dirname(mpirun.program)];
    const search = findCompiler(mpirun.family, env, cache, near);
    // The wrapper that belongs to it, even if BSYNC_MPICC names another.
    const own = findCompiler(mpirun.family, { ...env, BSYNC_MPICC: "" }, cache, near);
    for (const one of own.rejected) if (!one.other) broken.set(one.path, one);
    theirs.add(own.compiler?.show).add(search.compiler?.show);
    return { family: mpirun.family, mpirun, compiler: search.compiler };
  });
  const others = all.compilers
    .filter(({ show }) => !theirs.has(show))
    .map((compiler): Installation => ({ family: compiler.family, mpirun: null, compiler }));
  return { found: [...started, ...others], broken: [...broken.values()] };
}

/** The facts of a wrapper. `error`: its failure to build the binding, if that was tried. */
export function describeCompiler(compiler: Compiler, error: string | null): MpiccFacts {
  const { path, family, show } = compiler;
  const version = headerVersion(compiler);
  const header = show === "" ? null : version !== undefined;
  return {
    path,
    family,
    header,
    version: version ?? null,
    compiler: show.split(" ", 1)[0]!,
    error,
  };
}

/** Builds the binding with this wrapper, unless it exists; returns the failure, or null. */
export function tryCompiler(compiler: Compiler, cache: Cache): string | null {
  try {
    buildShim(compiler, cache);
    return null;
  } catch (error) {
    return textOf(error);
  }
}
