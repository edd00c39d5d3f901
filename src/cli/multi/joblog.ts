/**
 * The log of jobs, in GNU parallel's format. Beside it lies a file with a hash of the command and
 * input of each job, which that format has no room for: it tells whether a log is of these jobs.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { textOf } from "../../errors.ts";
import { FarmError } from "./errors.ts";
import type { FarmJob } from "./farm-job.ts";
import type { JobResult } from "./job-result.ts";
import { bytesOfText, textOfBytes } from "./raw-text.ts";

const HEADER = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";
const COLUMNS = 9;

/** What a log says of a job. */
export interface LogEntry {
  readonly sequence: number;
  readonly hasFailed: boolean;
  /** Its command line. */
  readonly line: string;
}

/** A line of the log. GNU parallel has newlines of a command as zero bytes. */
export function logLine(job: FarmJob, result: JobResult, host: string): string {
  const { start, runTime, sizes, exit, signal } = result;
  const fields = [
    job.sequence,
    host,
    (start / 1_000).toFixed(3),
    (runTime / 1_000).toFixed(3).padStart(10),
    0,
    sizes[0],
    exit,
    signal,
    job.line.replaceAll("\n", "\0"),
  ];
  return `${fields.join("\t")}\n`;
}

/** The last entry of each job in a log's text. A line that is not whole counts for nothing. */
export function entriesOf(text: string): Map<number, LogEntry> {
  const entries = new Map<number, LogEntry>();
  for (const line of text.slice(0, text.lastIndexOf("\n") + 1).split("\n")) {
    const fields = line.split("\t");
    const sequence = Number(fields[0]);
    if (fields.length < COLUMNS || !Number.isInteger(sequence)) continue;
    const command = fields
      .slice(COLUMNS - 1)
      .join("\t")
      .replaceAll("\0", "\n");
    const hasFailed = fields[6] !== "0" || fields[7] !== "0";
    entries.set(sequence, { sequence, hasFailed, line: command });
  }
  return entries;
}

/** The hash of each job, from the file beside a log. */
export function hashesOf(text: string): Map<number, string> {
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return new Map(
    Array.from(whole.matchAll(/^(\d+)\t([0-9a-f]+)$/gm), ([, number, hash]) => [+number!, hash!]),
  );
}

/** Of a job's command, as it was given, and its input. */
export function hashOf(command: readonly string[], values: readonly string[]): string {
  const text = JSON.stringify([command, values]);
  return Bun.hash(text).toString(16).padStart(16, "0");
}

/** The name of the file with the hashes. */
function besideOf(path: string): string {
  return `${path}.bsync`;
}

/** The text of a file; empty if it is not there. */
function textIn(path: string): string {
  try {
    return textOfBytes(readFileSync(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw new FarmError(`Cannot read the log "${path}": ${textOf(error)}`);
  }
}

/** A log that is written to, job by job. */
export class JobLog {
  /** What it had before. */
  readonly entries: ReadonlyMap<number, LogEntry>;
  readonly hashes: ReadonlyMap<number, string>;
  readonly path: string;
  readonly #log: number;
  readonly #beside: number;

  /** The host of all jobs; null: each its own. */
  readonly #host: string | null;

  /** `goesOn`: what the log has stays. */
  constructor(path: string, goesOn: boolean, host: string | null) {
    this.path = path;
    this.#host = host;
    const text = goesOn ? textIn(path) : "";
    const hashes = goesOn ? textIn(besideOf(path)) : "";
    this.entries = entriesOf(text);
    this.hashes = hashesOf(hashes);
    this.#log = openAfter(path, text);
    this.#beside = openAfter(besideOf(path), hashes);
    if (!text.includes("\n")) this.#write(this.#log, HEADER);
  }

  /** Adds a job that has ended. Written at once: what a kill leaves is a whole log. */
  add(job: FarmJob, result: JobResult): void {
    this.#write(this.#beside, `${job.sequence}\t${job.hash}\n`);
    this.#write(this.#log, logLine(job, result, this.#host ?? result.host));
  }

  /** Writes a whole line, or nothing of it: another one may find room again. */
  #write(fd: number, line: string): void {
    const bytes = bytesOfText(line);
    let written = 0;
    try {
      while (written < bytes.length) written += writeSync(fd, bytes, written);
    } catch (error) {
      if (written > 0) ftruncateSync(fd, fstatSync(fd).size - written);
      throw new FarmError(`Cannot write the log "${this.path}": ${textOf(error)}`);
    }
  }

  close(): void {
    closeSync(this.#log);
    closeSync(this.#beside);
  }
}

/** Opens a file to write behind the whole lines that it has; what follows them was torn. */
function openAfter(path: string, text: string): number {
  try {
    const fd = openSync(path, "a");
    ftruncateSync(fd, bytesOfText(text.slice(0, text.lastIndexOf("\n") + 1)).length);
    return fd;
  } catch (error) {
    throw new FarmError(`Cannot write the log "${path}": ${textOf(error)}`);
  }
}
