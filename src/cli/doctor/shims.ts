/** The bindings in the cache, each loaded once, in its own process. */
import { join } from "node:path";
import { cachedShims, type CachedShim, isShim } from "../../mpi/shim/build.ts";
import type { Cache } from "../../mpi/shim/cache.ts";
import type { Compiler } from "../../mpi/shim/find-mpicc.ts";
import { withoutLauncher } from "../../mpi/launcher/launcher.ts";
import type { ShimFacts } from "./report.ts";
import { run } from "./run.ts";

const PROBE = join(import.meta.dir, "probe.ts");

/** Loading a library takes some ms; one that hangs is as bad as one that crashes. */
const PROBE_MS = 10_000;

/**
 * The bindings in the cache. `compilers` are those in use now; bindings of other compilers are
 * listed, and left alone.
 */
export async function examineShims(
  cache: Cache,
  compilers: readonly Compiler[],
): Promise<ShimFacts[]> {
  return Promise.all(cachedShims(cache, compilers).map(examineShim));
}

/** The other files in the cache: answers of compilers, and leftovers. */
export function otherEntries(cache: Cache): { readonly count: number; readonly bytes: number } {
  const sizes = Array.from(cache.entries())
    .filter(({ name }) => !isShim(name))
    .map(({ bytes }) => bytes);
  return { count: sizes.length, bytes: sizes.reduce((sum, bytes) => sum + bytes, 0) };
}

async function examineShim({
  path,
  bytes,
  family,
  current,
  whole,
}: CachedShim): Promise<ShimFacts> {
  const facts = { path, bytes, family, current, abi: null };
  if (!whole) return { ...facts, state: "damaged", why: "it is not as it was written" };
  return current ? { ...facts, ...(await probe(path)) } : { ...facts, state: "unused", why: "" };
}

async function probe(path: string): Promise<Pick<ShimFacts, "state" | "abi" | "why">> {
  const { stdout, stderr, exitCode, end } = await run([process.execPath, PROBE, path], {
    env: withoutLauncher(process.env),
    limitMs: PROBE_MS,
  });
  const abi = /^\d+/.test(stdout) ? Number.parseInt(stdout, 10) : null;
  if (exitCode === 0) return { state: "loads", abi, why: "" };
  const error = /^(?:\w*Error.*?|error): (.*)$/m.exec(stderr)?.[1];
  return { state: "broken", abi, why: error ?? `a process that loaded it ended with ${end}` };
}

/**
 * The bindings of `after`; those that were damaged or broken `before` and load now are repaired:
 * bsync rebuilds bindings that do not load.
 */
export function withRepairs(
  before: readonly ShimFacts[],
  after: readonly ShimFacts[],
): ShimFacts[] {
  return after.map((shim) => {
    const was = before.find(({ path }) => path === shim.path);
    const repaired =
      shim.state === "loads" && (was?.state === "damaged" || was?.state === "broken");
    return repaired ? { ...was, state: "repaired", abi: shim.abi } : shim;
  });
}
