/** A problem of either level, and the words that problems of several subjects share. */
import type { Problem } from "./report.ts";

export function error(code: string, text: string): Problem {
  return { level: "error", code, text };
}

export function warning(code: string, text: string): Problem {
  return { level: "warning", code, text };
}

/** How Open MPI is told that it may run as root. */
export function asRoot(mpirun: string): string {
  const variables = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1";
  return `${mpirun} --allow-run-as-root …, or ${variables} in the environment`;
}

/** Versions of one thing, each with the hosts that have it; those that have none are left out. */
export function versionsOf(found: readonly (readonly [host: string, version: string | null])[]) {
  const versions = new Map<string, Set<string>>();
  for (const [host, version] of found) {
    if (version === null) continue;
    if (!versions.has(version)) versions.set(version, new Set());
    versions.get(version)!.add(host);
  }
  return versions;
}

/** That hosts have different versions of one thing. */
export function differing(
  what: string,
  versions: ReadonlyMap<string, ReadonlySet<string>>,
): string {
  const where = Array.from(
    versions,
    ([version, hosts]) => `${version} on ${[...hosts].join(", ")}`,
  );
  return `${what} is not the same on all hosts: ${where.join("; ")}; install one version`;
}
