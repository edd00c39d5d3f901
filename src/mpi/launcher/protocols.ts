/**
 * How a launcher that serves any MPI, as srun, talks to its ranks, and which MPIs know that
 * protocol: none knows all, and an MPI that does not know it starts no job.
 */
import { join } from "node:path";
import { ask } from "../../os/ask.ts";
import { setting, type Family, withoutLauncher } from "./launcher.ts";
import type { Environment } from "../../os/settings.ts";

/** PMIx; or PMI-1 and PMI-2, which are alike in their variables. */
export type Protocol = "PMIx" | "PMI";

/** Remembers a program's answers: asking takes longer than the rest of a start. */
export interface Memory {
  get(key: string): string | undefined;
  set(key: string, text: string): void;
}

/** The protocol of this process's launcher, if its variables tell. */
export function findProtocol(env: Environment): Protocol | null {
  if (setting(env, "PMIX_RANK") !== undefined) return "PMIx";
  return setting(env, "PMI_RANK") === undefined ? null : "PMI";
}

/**
 * The protocol that each family always knows, and the program that tells whether it was built for
 * the other as well.
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
 * Whether the MPI of that family with its programs in `folder` knows `protocol`; true if unknown.
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
    // Intel's and Cray's MPICH, say, lack such a program; and one that hangs today may answer
    // tomorrow: nothing is remembered.
    if (text === null) return true;
    said = other.test(text) ? "yes" : "no";
    memory.set(key, said);
  }
  return said === "yes";
}

/** A program's output; null if it does not run, or fails. */
function saidBy(command: string[]): string | null {
  try {
    // In a rank's environment it would take itself for a rank.
    const { success, stdout } = ask(command, TIMEOUT_MS, withoutLauncher(process.env));
    return success ? stdout : null;
  } catch {
    return null;
  }
}
