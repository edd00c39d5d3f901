/** Which jobs of a log are left out, and whether the log is of these jobs at all. */
import { FarmError } from "./errors.ts";
import { type JobLog, type LogEntry } from "./joblog.ts";

export interface ResumeRules {
  /** Jobs that failed run again. */
  readonly againFailed: boolean;
  /** A log of other jobs is taken, too. */
  readonly accepts: boolean;
}

type Known = Pick<JobLog, "entries" | "hashes" | "path">;

/** A job as it would run now. */
export interface Candidate {
  readonly sequence: number;
  readonly hash: string;
  /** Its command line; null if that differs from run to run. */
  readonly line: string | null;
}

/** Whether a job is left out. Throws where the log has another job of that number. */
export function isLeftOut(job: Candidate, known: Known, rules: ResumeRules): boolean {
  const entry = known.entries.get(job.sequence);
  if (entry === undefined) return false;
  if (!rules.accepts) refuseOther(job, entry, known);
  return !(rules.againFailed && entry.hasFailed);
}

function refuseOther(job: Candidate, entry: LogEntry, { hashes, path }: Known): void {
  const hash = hashes.get(job.sequence);
  // A log of GNU parallel has no hashes: there the command line tells.
  const isSame = hash === undefined ? isSameLine(job, entry) : hash === job.hash;
  if (isSame) return;
  throw new FarmError(
    `Cannot resume from "${path}": its job ${job.sequence} was \`${entry.line}\`, and now ` +
      `${job.line === null ? "its command or input differs" : `is \`${job.line}\``}; give the ` +
      "same command and input, another log, or --accept to go by numbers alone",
  );
}

function isSameLine({ line }: Candidate, entry: LogEntry): boolean {
  return line === null || line === entry.line;
}
