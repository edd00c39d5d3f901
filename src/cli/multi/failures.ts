/** What is told at the end of the jobs that failed: a line each, and the end of their stderr. */
import { constants } from "node:os";
import type { FarmJob } from "./farm-job.ts";
import type { JobResult } from "./job-result.ts";

export interface Failure {
  readonly sequence: number;
  readonly line: string;
  readonly how: string;
  readonly lastWords: string;
}

/** Failures that are told, and lines of each. */
const MOST_TOLD = 20;
const MOST_LINES = 3;
const MOST_COLUMNS = 200;

/** How a job failed. */
export function failureOf(job: FarmJob, result: JobResult): Failure {
  const { sequence, line, tries } = job;
  const again = tries > 1 ? ` at try ${tries}` : "";
  return { sequence, line, how: `${howOf(result)}${again}`, lastWords: result.lastWords };
}

function howOf({ exit, signal, isLate, refusal, runTime }: JobResult): string {
  if (refusal !== null) return refusal;
  if (isLate) return `ended at its time limit, after ${(runTime / 1_000).toFixed(1)} s`;
  return signal > 0 ? `killed by ${signalName(signal)}` : `exit code ${exit}`;
}

function signalName(number: number): string {
  const found = Object.entries(constants.signals).find(([, one]) => one === number);
  return found?.[0] ?? `signal ${number}`;
}

/** Failures as they come: the first ones are kept. */
export class Failures {
  readonly #kept: Failure[] = [];
  #count = 0;

  add(failure: Failure): void {
    this.#count++;
    if (this.#kept.length < MOST_TOLD) this.#kept.push(failure);
  }

  /** For people; empty if there are none. `done`: how many jobs ended. */
  text(done: number): string {
    if (this.#count === 0) return "";
    const jobs = `${done} job${done === 1 ? "" : "s"}`;
    const lines = [`bsync multi: ${this.#count} of ${jobs} failed`];
    for (const { sequence, line, how, lastWords } of this.#kept) {
      lines.push(`  job ${sequence}: ${how}: ${short(line)}`);
      const words = lastWords.trimEnd().split("\n").slice(-MOST_LINES);
      if (lastWords.trim() !== "") lines.push(...words.map((word) => `    | ${short(word)}`));
    }
    const more = this.#count - this.#kept.length;
    if (more > 0) lines.push(`  and ${more} more; --joblog lists all of them`);
    return `${lines.join("\n")}\n`;
  }
}

function short(text: string): string {
  const line = text.replaceAll("\n", "⏎");
  return line.length > MOST_COLUMNS ? `${line.slice(0, MOST_COLUMNS - 1)}…` : line;
}
