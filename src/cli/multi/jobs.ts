/** The jobs of a farm: those of its input that a log has not, or those of a log that failed. */
import type { FarmJob } from "./farm-job.ts";
import { hashOf, type JobLog } from "./joblog.ts";
import { isLeftOut, type ResumeRules } from "./resume.ts";
import type { Template } from "./template.ts";

function jobOf(sequence: number, values: readonly string[], hash: string, line = ""): FarmJob {
  return { sequence, values, hash, tries: 0, slot: 0, line };
}

export interface JobRules {
  /** The command, as it was given. */
  readonly command: readonly string[];
  readonly template: Template;
  /** A log to resume from, and how. */
  readonly resume: { readonly log: JobLog; readonly rules: ResumeRules } | null;
}

/** A job for each input, numbered; `onLeftOut` hears of those that are left out. */
export async function* jobsOf(
  inputs: AsyncIterable<readonly string[]>,
  { command, template, resume }: JobRules,
  onLeftOut: () => void,
): AsyncGenerator<FarmJob> {
  let sequence = 0;
  for await (const values of inputs) {
    const hash = hashOf(command, values);
    const job = jobOf(++sequence, values, hash);
    if (resume !== null) {
      const line = template.namesSlot ? null : template.line(job);
      if (isLeftOut({ sequence, hash, line }, resume.log, resume.rules)) {
        onLeftOut();
        continue;
      }
    }
    yield job;
  }
}

/** The jobs of a log that failed; they keep their numbers, and their hashes if they have any. */
export async function* failedJobsOf({ entries, hashes }: JobLog): AsyncGenerator<FarmJob> {
  for (const { sequence, hasFailed, line } of entries.values()) {
    const hash = hashes.get(sequence) ?? hashOf([line], []);
    if (hasFailed) yield jobOf(sequence, [], hash, line);
  }
}
