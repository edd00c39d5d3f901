/**
 * What a host has of what a program needs. `examinePlace` runs there, in that host's own Bun and as a text
 * (`bun -e`), since bsync itself may be what is missing; where it is there, `examineMpi` is asked, too.
 */
import { textOf } from "../../errors.ts";
import { findLauncher } from "../../mpi/launcher.ts";
import { loadShim } from "../../mpi/shim.ts";
import type { PlaceFacts } from "./report.ts";

/** Begins a line that tells of a host; its rest is JSON. */
export const PLACE_MARK = "bsync-doctor-host ";

/** What it needs to know, as JSON in its first argument. */
export interface PlaceQuestion {
  /** The program, as it stands in the command; null where that names none. */
  readonly program: string | null;
  readonly mark: string;
}

/** Where a launcher has put this process among those of its host, as it says itself. */
const PLACES = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"];

/** Looks for the program, and for what it imports. Uses nothing from outside of itself. */
export async function examinePlace(places: readonly string[]): Promise<void> {
  const { existsSync, readFileSync } = await import("node:fs");
  const { hostname } = await import("node:os");
  const { dirname, extname, resolve } = await import("node:path");
  const { program, mark } = JSON.parse(process.argv[1]!) as PlaceQuestion;
  // The first process of each host speaks for it.
  if (places.some((name) => Number(process.env[name] ?? 0) > 0)) return;
  const path = program === null ? null : resolve(program);
  const found = path !== null && existsSync(path);
  const folder = path === null ? process.cwd() : dirname(path);
  const locate = (name: string): string | null => {
    try {
      return Bun.resolveSync(name, folder);
    } catch {
      return null;
    }
  };
  const imports = new Set<string>();
  if (found) {
    const loader = /^\.[cm]?([jt]sx?)$/.exec(extname(path))?.[1] as "ts" | undefined;
    const transpiler = new Bun.Transpiler({ loader: loader ?? "tsx" });
    for (const one of transpiler.scanImports(readFileSync(path, "utf8"))) imports.add(one.path);
  }
  const facts: PlaceFacts = {
    host: hostname(),
    bun: { version: Bun.version, path: process.execPath },
    folder: process.cwd(),
    program: path === null ? null : { path, found },
    missing: [...imports].filter((name) => locate(name) === null),
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

/** The text to run there. */
export const EXAMINE_PLACE = `await (${examinePlace})(${JSON.stringify(PLACES)})`;

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
