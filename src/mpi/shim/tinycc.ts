/**
 * The shim without an installed C compiler: Bun contains one (TinyCC), which compiles into memory,
 * and needs only MPI's header and library. It takes some 100 ms at every start, so it comes last.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cc } from "bun:ffi";
import { writeSource } from "./build.ts";
import { flagged, type Compiler } from "./find-mpicc.ts";
import type { Family } from "../launcher/launcher.ts";
import { exclusively } from "./lock.ts";
import { check, COMM_SYMBOLS, SYMBOLS, type Shim, keepSignals } from "./symbols.ts";

/** The places of an MPI's header and library. */
export interface Headers {
  readonly include: string[];
  readonly folders: string[];
  readonly library: string;
}

/** Finds them in the folders that packagers use, for a machine with MPI's header but no mpicc. */
export function findHeaders(family: Family): Headers | null {
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

/** The headers by a wrapper's flags, for a machine without the C compiler behind it. */
export function headersOf(compiler: Compiler): Headers | null {
  const library = flagged(compiler.show, "-l").find((name) => name.startsWith("mpi"));
  if (library === undefined) return null;
  const { show } = compiler;
  return { include: flagged(show, "-I"), folders: flagged(show, "-L"), library };
}

/** The origin of a shim compiled here begins with this. */
export const TINY = "Bun's own C compiler";

/** Compiles the shim into memory with Bun's compiler: for machines without one. */
export function loadTiny(headers: Headers): Shim {
  const work = mkdtempSync(join(tmpdir(), "bsync-"));
  try {
    keepSignals();
    const compile = () =>
      cc({
        source: writeSource(work),
        include: headers.include,
        library: [headers.library],
        flags: headers.folders.map((folder) => `-L${folder}`),
        // All at once: a second compilation would be a second shim.
        symbols: { ...SYMBOLS, ...COMM_SYMBOLS },
      });
    const library = exclusively(ownHeaders(), () => undefined, compile);
    const comm = () => library.symbols;
    return check(library, comm, `${TINY} with ${headers.include.join(", ")}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * The folder of the headers for Bun's compiler. Bun rewrites them in place each time it compiles:
 * the ranks of a host that did so at once would now and then find an empty stddef.h.
 */
function ownHeaders(): string {
  const folder = join(tmpdir(), `bun-cc-${process.getuid?.()}`);
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch {
    // It exists, or cannot be created; then there is no lock.
  }
  return folder;
}
