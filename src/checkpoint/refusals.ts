/** Why a checkpoint cannot be used, in words. */
import { CheckpointError, textOf } from "../errors.ts";
import { type Identity, ownIdentity, sharesPids } from "../os/identity.ts";
import { own } from "../os/natives.ts";

/** The process that has a file open, as it wrote it there. */
export interface Holder extends Identity {
  /** When it opened the file, as ISO 8601 has it. */
  readonly since: string;
}

/** The file that an error tells of. */
export interface Place {
  readonly path: string;
  /** The network file system that it lies on; null on a disk. */
  readonly network: string | null;
}

export function refusal(path: string, finding: string, cure: string, cause?: unknown) {
  const options = cause === undefined ? undefined : { cause };
  return new CheckpointError(`Cannot use the checkpoint ${path}: ${finding}; ${cure}`, options);
}

export const DAMAGED = [
  "it is damaged, or was cut off",
  'give another path, or remove it; what can be saved of it, `sqlite3 FILE ".recover"` would print',
] as const;

/** Findings and cures, by the beginning of SQLite's code. */
const FINDINGS: readonly (readonly [code: string, finding: string, cure: string])[] = [
  [
    "SQLITE_NOTADB",
    "it is no SQLite file",
    "nothing was written to it; give another path, or remove the file if nobody needs it",
  ],
  ["SQLITE_CORRUPT", ...DAMAGED],
  [
    "SQLITE_FULL",
    "its disk is full",
    "what was committed before is safe: make room, and run the same map again",
  ],
  [
    "SQLITE_READONLY",
    "it may not be written",
    "make it, and its folder, writable, or give another path",
  ],
  [
    "SQLITE_CANTOPEN",
    "it, or its journal beside it, cannot be opened",
    "see whether its folder may be written, or give another path",
  ],
  [
    "SQLITE_PERM",
    "it may not be opened",
    "make it, and its folder, writable, or give another path",
  ],
];

/** The error for one of SQLite's; others, as a refusal, are passed on as they are. */
export function explain(error: unknown, { path, network }: Place): unknown {
  if (error instanceof CheckpointError || !(error instanceof Error)) return error;
  const code = codeOf(error);
  const known = FINDINGS.find(([start]) => code.startsWith(start));
  if (known !== undefined) return refusal(path, known[1], known[2], error);
  if (!code.startsWith("SQLITE_")) return error;
  const where = network === null ? "" : ` on ${network}, a network file system`;
  return refusal(
    path,
    `SQLite failed${where} with ${code}, "${textOf(error)}"`,
    network === null
      ? "see whether its disk is sound, and no quota or limit of files' sizes (ulimit -f) is " +
          "reached; what was committed before is safe"
      : "give a path on a disk of this host, if there is one",
    error,
  );
}

export function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && "code" in error ? error.code : "";
  return typeof code === "string" ? code : "";
}

/** Another map has the file; `holder` is the process that says so in it, null if none does. */
export function inUse({ path, network }: Place, holder: Holder | null, cause?: unknown) {
  if (holder === null || isGone(holder)) {
    const finding = "another process has it open, and it is unknown which";
    const cure =
      network === null
        ? `end that process (\`fuser ${path}\` names it), or give another path`
        : `end that process, or give another path: locks may not work on ${network} here`;
    return refusal(path, finding, cure, cause);
  }
  const self = ownIdentity();
  const { pid, host, since } = holder;
  if (pid === self.pid && host === self.host && holder.pidSpace === self.pidSpace) {
    return refusal(
      path,
      `another map of this process (pid ${pid}, host ${host}) has it open since ${since}`,
      "give each map a path of its own, or run one after the other",
      cause,
    );
  }
  return refusal(
    path,
    `process ${pid} on host ${host} has it open since ${since}`,
    "wait for its end, end it, or give another path",
    cause,
  );
}

/** Whether a process was killed, and something else has the file, as a shell of SQLite's. */
function isGone(holder: Holder): boolean {
  if (!sharesPids(holder)) return false;
  try {
    own.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return codeOf(error) === "ESRCH";
  }
}
