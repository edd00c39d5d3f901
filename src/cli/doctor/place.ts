/**
 * What a host has of what a program needs. `examinePlace` runs there, in that host's own Bun and as
 * a text (`bun -e`), since bsync itself may be what is missing; where it is there, `examineMpi` is
 * asked, too.
 */
import { textOf } from "../../errors.ts";
import { findLauncher } from "../../mpi/launcher/launcher.ts";
import { loadShim } from "../../mpi/shim/load.ts";
import type { PlaceFacts } from "./report.ts";

/** Begins a line that tells of a host; its rest is JSON. */
export const PLACE_MARK = "bsync-doctor-host ";

/** What it needs to know, as JSON in its first argument. */
export interface PlaceQuestion {
  /** The program, as it stands in the command; null where that names none. */
  readonly program: string | null;
  /**
   * Whether that is a file, a script of package.json (or a file, or a package's command), or a
   * package's command.
   */
  readonly kind: "file" | "script" | "command";
  readonly mark: string;
}

/**
 * Looks for the program, and for what it imports. Uses nothing from outside of itself, but for
 * `scan`, which is `importsOf`.
 */
export async function examinePlace(scan: typeof importsOf): Promise<void> {
  const { existsSync, readFileSync } = await import("node:fs");
  const { hostname } = await import("node:os");
  const { dirname, join, resolve } = await import("node:path");
  const { program, kind, mark } = JSON.parse(process.argv[1]!) as PlaceQuestion;
  const path = kind === "file" && program !== null ? resolve(program) : program;
  const folder = kind === "file" && path !== null ? dirname(path) : process.cwd();
  /** Whether a folder, or one above it, has such a command, or script of its package.json. */
  const isKnown = (name: string, above: string): boolean => {
    if (existsSync(join(above, "node_modules/.bin", name))) return true;
    try {
      const { scripts } = JSON.parse(readFileSync(join(above, "package.json"), "utf8"));
      if (kind === "script" && scripts?.[name] !== undefined) return true;
    } catch {
      // There is none.
    }
    return above !== dirname(above) && isKnown(name, dirname(above));
  };
  const isFile = path !== null && kind !== "command" && existsSync(path);
  const found = isFile || (path !== null && kind !== "file" && isKnown(path, folder));
  const locate = (name: string): string | null => {
    try {
      return Bun.resolveSync(name, folder);
    } catch {
      return null;
    }
  };
  const imports = isFile ? await scan(path) : [];
  const facts: PlaceFacts = {
    host: hostname(),
    bun: { version: Bun.version, path: process.execPath },
    folder: process.cwd(),
    program: path === null ? null : { path, found },
    missing: imports.filter((name) => locate(name) === null),
    bsync: null,
    mpi: null,
  };
  const manifest = locate("bsync/package.json");
  let { bsync, mpi } = facts;
  if (manifest !== null) {
    const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
    bsync = { version, path: dirname(manifest), error: null };
    try {
      const here = (await import(`${bsync.path}/src/cli/doctor/place.ts`)) as {
        examineMpi(): PlaceFacts["mpi"];
      };
      mpi = here.examineMpi();
    } catch (error) {
      bsync = { ...bsync, error: error instanceof Error ? error.message : String(error) };
    }
  }
  console.log(mark + JSON.stringify({ ...facts, bsync, mpi }));
}

/**
 * Names of what a program imports, each once; none where it is no script. Uses nothing from outside
 * of itself.
 */
export async function importsOf(path: string): Promise<string[]> {
  const { readFileSync } = await import("node:fs");
  const { extname } = await import("node:path");
  const loader = /^\.[cm]?([jt]sx?)$/.exec(extname(path))?.[1] as "ts" | undefined;
  if (loader === undefined) return [];
  try {
    const found = new Bun.Transpiler({ loader }).scanImports(readFileSync(path, "utf8"));
    // What is imported by a call may be done without.
    const needed = found.filter(({ kind }) => kind === "import-statement");
    return [...new Set(needed.map((one) => one.path))];
  } catch {
    // What is wrong with it Bun will say.
    return [];
  }
}

/** The text to run there. */
export const EXAMINE_PLACE = `await (${examinePlace})(${importsOf})`;

/** Whether MPI can be loaded here, as the ranks of a job would load it. Starts nothing. */
export function examineMpi(): PlaceFacts["mpi"] {
  const launcher = findLauncher(process.env);
  if (launcher === null) return null;
  try {
    return { shim: loadShim(launcher, process.env).origin, error: null };
  } catch (error) {
    return { shim: null, error: textOf(error) };
  }
}
