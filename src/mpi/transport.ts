/** How the messages of a job travel, as far as the library tells. */
import type { Mpi } from "./mpi.ts";

export interface Transport {
  /**
   * In a few words, as "ob1 over vader, tcp" or "ch4:ucx"; "unknown" if the library does not tell.
   */
  readonly name: string;
  /** Whether ranks of one host reach each other through memory; null if unknown. */
  readonly memory: boolean | null;
}

/** The transport of this job. */
export function transportOf(mpi: Pick<Mpi, "libraryText" | "variables">): Transport {
  const device = /^MPICH Device:\s*(\S+)/m.exec(mpi.libraryText)?.[1];
  // The device includes shared memory.
  if (device !== undefined) return { name: device, memory: true };
  if (mpi.libraryText.startsWith("Open MPI")) return ofOpenMpi(mpi.variables());
  return { name: "unknown", memory: null };
}

/** Open MPI: one component of kind pml, over the btl or mtl components that found each other. */
function ofOpenMpi(variables: string[]): Transport {
  const pml = components(variables, "pml");
  const btl = components(variables, "btl").filter((name) => name !== "self");
  const memory = btl.filter((name) => name === "vader" || name === "sm");
  if (pml.length === 0) return { name: "unknown", memory: null };
  const name = pml.join(", ");
  if (!pml.includes("ob1")) return { name, memory: null };
  return {
    // The preferred transport comes first.
    name: btl.length === 0 ? name : `${name} over ${[...new Set([...memory, ...btl])].join(", ")}`,
    memory: memory.length > 0,
  };
}

/** The components of a framework that have variables, as "vader" has btl_vader_flags. */
function components(variables: string[], framework: string): string[] {
  const names = variables
    .filter((name) => name.startsWith(`${framework}_`))
    .map((name) => name.split("_")[1]!);
  return [...new Set(names)].filter((name) => name !== "base").sort();
}
