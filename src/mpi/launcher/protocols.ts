/**
 * How a launcher that serves any MPI, as srun does, talks to its ranks, and which MPIs know that:
 * none knows all, and one that does not starts no job.
 */
import { join } from "node:path";
import { ask } from "../../os/ask.ts";
import { setting, type Family, withoutLauncher } from "./launcher.ts";
import type { Environment } from "../../os/settings.ts";

/** PMIx; or PMI-1 and PMI-2, which are alike in their variables. */
export type Protocol = "PMIx" | "PMI";

/** Remembers what a program said, since to ask it takes longer than all the rest of a start. */
export interface Memory {
  get(key: string): string | undefined;
  set(key: string, text: string): void;
}

/** What the launcher of this process talks, where its variables tell. */
export function findProtocol(env: Environment): Protocol | null {
  if (setting(env, "PMIX_RANK") !== undefined) return "PMIx";
  return setting(env, "PMI_RANK") === undefined ? null : "PMI";
}

/**
 * What each family talks always, and who tells whether it was built for the other as well, and how.
 */
const KNOWLEDGE = {
  openmpi: {
    own: "PMIx",
    command: ["ompi_info", "--parsable"],
    other: /^mca:pmix:(?:s1|s2|cray):/m,
  },
  mpich: { own: "PMI", command: ["mpichversion"], other: /--with-(?:pmi=)?pmix/ },
} as const;

const TIMEOUT_MS = 20_000;

/**
 * Does the MPI of that family whose programs are in `folder` know `protocol`? Yes, where nobody can
 * tell.
 */
export function speaks(
  family: Family,
  folder: string,
  protocol: Protocol,
  memory: Memory,
): boolean {
  if (family === "unknown" || KNOWLEDGE[family].own === protocol) return true;
  const { command, other } = KNOWLEDGE[family];
  const path = join(folder, command[0]);
  const key = `speaks ${path} ${Bun.file(path).size} ${Bun.file(path).lastModified}`;
  let said = memory.get(key);
  if (said === undefined) {
    const text = saidBy([path, ...command.slice(1)]);
    // Intel's and Cray's MPICH, say, have no such program; and what hangs today may answer
    // tomorrow.
    if (text === null) return true;
    said = other.test(text) ? "yes" : "no";
    memory.set(key, said);
  }
  return said === "yes";
}

/** What a program says; null where it does not run, or not well. */
function saidBy(command: string[]): string | null {
  try {
    // In the environment of a rank it would take itself for one.
    const { success, stdout } = ask(command, TIMEOUT_MS, withoutLauncher(process.env));
    return success ? stdout : null;
  } catch {
    return null;
  }
}
