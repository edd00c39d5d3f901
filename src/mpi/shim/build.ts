/// <reference path="./text.d.ts" />
/**
 * Compiles the shim with the site's own wrapper, once, into the user's cache. Its text is part of
 * this module, so that a bundled or compiled program has it too. It is never written into the
 * package's own folder, which may be shared or read-only.
 */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import codesHeader from "../../../c/bsync_codes.h" with { type: "text" };
import commSource from "../../../c/bsync_comm.c" with { type: "text" };
import commHeader from "../../../c/bsync_comm.h" with { type: "text" };
import commAgreeSource from "../../../c/bsync_comm_agree.c" with { type: "text" };
import commAgreeHeader from "../../../c/bsync_comm_agree.h" with { type: "text" };
import commArrivalSource from "../../../c/bsync_comm_arrival.c" with { type: "text" };
import commCollectivesSource from "../../../c/bsync_comm_collectives.c" with { type: "text" };
import commMessagesSource from "../../../c/bsync_comm_messages.c" with { type: "text" };
import commPartsSource from "../../../c/bsync_comm_parts.c" with { type: "text" };
import commPartsHeader from "../../../c/bsync_comm_parts.h" with { type: "text" };
import commPlainSource from "../../../c/bsync_comm_plain.c" with { type: "text" };
import commPlainHeader from "../../../c/bsync_comm_plain.h" with { type: "text" };
import commTableSource from "../../../c/bsync_comm_table.c" with { type: "text" };
import commTableHeader from "../../../c/bsync_comm_table.h" with { type: "text" };
import commToldSource from "../../../c/bsync_comm_told.c" with { type: "text" };
import commToldHeader from "../../../c/bsync_comm_told.h" with { type: "text" };
import endSource from "../../../c/bsync_end.c" with { type: "text" };
import guardHeader from "../../../c/bsync_guard.h" with { type: "text" };
import launcherSource from "../../../c/bsync_launcher.c" with { type: "text" };
import launcherHeader from "../../../c/bsync_launcher.h" with { type: "text" };
import mpiSource from "../../../c/bsync_mpi.c" with { type: "text" };
import mpiHeader from "../../../c/bsync_mpi.h" with { type: "text" };
import procSource from "../../../c/bsync_proc.c" with { type: "text" };
import procHeader from "../../../c/bsync_proc.h" with { type: "text" };
import receiveSource from "../../../c/bsync_receive.c" with { type: "text" };
import receiveHeader from "../../../c/bsync_receive.h" with { type: "text" };
import receiveGuardedSource from "../../../c/bsync_receive_guarded.c" with { type: "text" };
import receivePlainSource from "../../../c/bsync_receive_plain.c" with { type: "text" };
import shapeSource from "../../../c/bsync_shape.c" with { type: "text" };
import shapeHeader from "../../../c/bsync_shape.h" with { type: "text" };
import startSource from "../../../c/bsync_start.c" with { type: "text" };
import stateSource from "../../../c/bsync_state.c" with { type: "text" };
import stateHeader from "../../../c/bsync_state.h" with { type: "text" };
import textsSource from "../../../c/bsync_texts.c" with { type: "text" };
import timeHeader from "../../../c/bsync_time.h" with { type: "text" };
import watchSource from "../../../c/bsync_watch.c" with { type: "text" };
import watchHeader from "../../../c/bsync_watch.h" with { type: "text" };
import watchdogSource from "../../../c/bsync_watchdog.c" with { type: "text" };
import watchdogHeader from "../../../c/bsync_watchdog.h" with { type: "text" };
import { textOf } from "../../errors.ts";
import { ask, type Answer } from "../../os/ask.ts";
import { digest, isWhole, publish, type Cache } from "./cache.ts";
import { flagged, type Compiler } from "./find-mpicc.ts";
import type { Family } from "../launcher/launcher.ts";
import { exclusively } from "./lock.ts";
import { Date } from "../../os/natives.ts";

const COMPILE_TIMEOUT_MS = 120_000;

/** The remains of a killed compilation are removed by the next one after this time. */
const LEFTOVER_MS = 10 * 60_000;

/** The shim could not be compiled; the message is the compiler's. */
export class BuildError extends Error {}

const FILES = {
  "bsync_codes.h": codesHeader,
  "bsync_comm.c": commSource,
  "bsync_comm.h": commHeader,
  "bsync_comm_agree.c": commAgreeSource,
  "bsync_comm_agree.h": commAgreeHeader,
  "bsync_comm_arrival.c": commArrivalSource,
  "bsync_comm_collectives.c": commCollectivesSource,
  "bsync_comm_messages.c": commMessagesSource,
  "bsync_comm_parts.c": commPartsSource,
  "bsync_comm_parts.h": commPartsHeader,
  "bsync_comm_plain.c": commPlainSource,
  "bsync_comm_plain.h": commPlainHeader,
  "bsync_comm_table.c": commTableSource,
  "bsync_comm_table.h": commTableHeader,
  "bsync_comm_told.c": commToldSource,
  "bsync_comm_told.h": commToldHeader,
  "bsync_end.c": endSource,
  "bsync_guard.h": guardHeader,
  "bsync_launcher.c": launcherSource,
  "bsync_launcher.h": launcherHeader,
  "bsync_mpi.c": mpiSource,
  "bsync_mpi.h": mpiHeader,
  "bsync_proc.c": procSource,
  "bsync_proc.h": procHeader,
  "bsync_receive.c": receiveSource,
  "bsync_receive.h": receiveHeader,
  "bsync_receive_guarded.c": receiveGuardedSource,
  "bsync_receive_plain.c": receivePlainSource,
  "bsync_shape.c": shapeSource,
  "bsync_shape.h": shapeHeader,
  "bsync_start.c": startSource,
  "bsync_state.c": stateSource,
  "bsync_state.h": stateHeader,
  "bsync_texts.c": textsSource,
  "bsync_time.h": timeHeader,
  "bsync_watch.c": watchSource,
  "bsync_watch.h": watchHeader,
  "bsync_watchdog.c": watchdogSource,
  "bsync_watchdog.h": watchdogHeader,
};

/** The one file to compile: Bun's own compiler takes no more. */
const WHOLE = "bsync.c";

/** Defined here first: the sources that need it define it too late, after another's includes. */
const WHOLE_TEXT = [
  "#define _GNU_SOURCE",
  ...Object.keys(FILES)
    .filter((name) => name.endsWith(".c"))
    .map((name) => `#include "${name}"`),
  "",
].join("\n");

/** Writes the shim's files into `folder`; returns the path of the file to compile. */
export function writeSource(folder: string): string {
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(folder, name), text);
  const whole = join(folder, WHOLE);
  writeFileSync(whole, WHOLE_TEXT);
  return whole;
}

/** The name in the cache of this compiler's shim. */
export function shimName(compiler: Compiler): string {
  const texts = [...Object.values(FILES), WHOLE_TEXT];
  const parts = [...texts, compiler.show, compiler.path, process.platform, process.arch];
  return `${PREFIX}${compiler.family}-${digest(...parts).slice(0, 24)}.so`;
}

const PREFIX = "bsync_mpi-";

/** A shim that is in the cache. */
export interface CachedShim {
  readonly path: string;
  readonly family: Family;
  /** Whether one of these compilers would use it now. */
  readonly current: boolean;
  /** Whether it is undamaged. */
  readonly whole: boolean;
  readonly bytes: number;
}

/** Whether a file name in the cache is a shim's. */
export function isShim(name: string): boolean {
  return name.startsWith(PREFIX) && name.endsWith(".so");
}

/** The shims in the cache: of `compilers`, and those left by other versions of bsync or MPI. */
export function cachedShims(cache: Cache, compilers: readonly Compiler[]): CachedShim[] {
  const names = new Set(compilers.map(shimName));
  const shims = Array.from(cache.entries()).filter(({ name }) => isShim(name));
  return shims.map(({ path, bytes }) => {
    const family = /^(openmpi|mpich)-/.exec(basename(path).slice(PREFIX.length))?.[1];
    return {
      path,
      family: (family ?? "unknown") as Family,
      current: names.has(basename(path)),
      whole: isWhole(path),
      bytes,
    };
  });
}

/**
 * The shim of `compiler`: from the cache, or new. `unlike` is one that did not load; if the cache
 * still holds that one, it is made anew.
 *
 * @throws BuildError
 */
export function buildShim(compiler: Compiler, cache: Cache, unlike?: Built): Built {
  const name = shimName(compiler);
  const find = () => {
    const path = cache.find(name);
    const built = path === undefined ? undefined : describe(path, false);
    return built && (!unlike || built.identity !== unlike.identity) ? built : undefined;
  };
  const found = find();
  if (found) return found;
  const folder = cache.writable();
  if (folder === null) {
    throw new BuildError(`no folder to build it in: ${cache.places.join(" and ")} cannot be used`);
  }
  return exclusively(folder, find, () => compile(compiler, folder, name));
}

/** A shim in the cache. */
export interface Built {
  readonly path: string;
  /** Distinguishes this file from one that replaces it. */
  readonly identity: string;
  /** Whether it was compiled just now. */
  readonly fresh: boolean;
}

function describe(path: string, fresh: boolean): Built | undefined {
  try {
    const { ino, mtimeMs } = statSync(path);
    return { path, fresh, identity: `${path} ${ino} ${mtimeMs}` };
  } catch {
    return undefined;
  }
}

function removeLeftovers(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!name.startsWith("build-")) continue;
    const path = join(folder, name);
    try {
      if (Date.now() - statSync(path).mtimeMs > LEFTOVER_MS) rmSync(path, { recursive: true });
    } catch {
      // Another process was quicker.
    }
  }
}

function compile(compiler: Compiler, folder: string, name: string): Built {
  const path = join(folder, name);
  let work: string | undefined;
  try {
    removeLeftovers(folder);
    work = mkdtempSync(join(folder, "build-"));
    const output = join(work, "shim.so");
    runCompiler(compiler, writeSource(work), output, work);
    publish(output, path);
  } catch (error) {
    if (error instanceof BuildError) throw error;
    throw new BuildError(`cannot write to ${folder}: ${textOf(error)}`);
  } finally {
    if (work) rmSync(work, { recursive: true, force: true });
  }
  const built = describe(path, true);
  if (!built) throw new BuildError(`${path} vanished`);
  return built;
}

function runCompiler(compiler: Compiler, input: string, output: string, work: string): void {
  // Not all wrappers of an MPI outside the loader's usual folders record its place.
  const rpaths = flagged(compiler.show, "-L").map((folder) => `-Wl,-rpath,${folder}`);
  const flags = ["-O2", "-std=c11", "-shared", "-fPIC", "-pthread", "-Wl,--enable-new-dtags"];
  const command = [compiler.path, ...flags, ...rpaths, "-o", output, input, "-ldl"];
  let result: Answer;
  try {
    result = ask(command, COMPILE_TIMEOUT_MS, { ...process.env, TMPDIR: work });
  } catch (error) {
    throw new BuildError(`${compiler.path} does not run: ${textOf(error)}`);
  }
  let size = 0;
  try {
    size = statSync(output).size;
  } catch {
    // No output; reported below.
  }
  if (result.success && size > 0) return;
  const said = `${result.stderr}${result.stdout}`.trim().split("\n").slice(0, 8).join("\n  ");
  const how = result.success ? "no output" : result.end;
  throw new BuildError(`${compiler.path} ended with ${how}${said ? `:\n  ${said}` : ""}`);
}
