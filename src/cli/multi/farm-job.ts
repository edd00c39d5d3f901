/** A job as the farm knows it. */
import type { Followed } from "./job.ts";
import type { JobResult } from "./job-result.ts";

export interface FarmJob {
  /** From 1, in the order of the input. */
  readonly sequence: number;
  readonly values: readonly string[];
  /** Of its command and input. */
  readonly hash: string;
  /** How often it was started. */
  tries: number;
  /** Its place among those that run, from 1; 0 while it waits. */
  slot: number;
  /** Its last command line; one from a log is there before it starts. */
  line: string;
}

/** The job's name among all tries. */
export function idOf({ sequence, tries }: FarmJob): string {
  return `${sequence}.${tries}`;
}

export function hasFailed({ exit, signal, isLate }: JobResult): boolean {
  return exit !== 0 || signal !== 0 || isLate;
}

/** Where the output of a job is: on its worker, or in a file here. Lost: `OutputLostError`. */
export interface OutputReader {
  read(stream: 0 | 1, from: number, length: number): Promise<Uint8Array>;
  /** Resolves when there is more than `from`, or the job is over. */
  follow(from: readonly [number, number], isByLine: boolean): Promise<Followed>;
  /** Nothing of it is needed any more. */
  drop(): void;
}
