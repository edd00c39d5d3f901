/** A job as the farm knows it. */
import type { JobResult } from "./job.ts";

export interface FarmJob {
  /** From 1, in the order of the input. */
  readonly sequence: number;
  readonly values: readonly string[];
  /** How often it was started. */
  tries: number;
  /** Its place among those that run, from 1; 0 while it waits. */
  slot: number;
  /** Its last command line. */
  line: string;
}

/** The job's name among all tries. */
export function idOf({ sequence, tries }: FarmJob): string {
  return `${sequence}.${tries}`;
}

export function hasFailed({ exit, signal, isLate }: JobResult): boolean {
  return exit !== 0 || signal !== 0 || isLate;
}

/** Gives parts of a job's output, which its worker has, or had. */
export interface OutputReader {
  read(stream: 0 | 1, from: number, length: number): Promise<Uint8Array>;
  /** Nothing of it is needed any more. */
  drop(): void;
}
