/** Keepers of output: files in a tree (--results), and files by name (--files). */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Keeper } from "./delivery.ts";
import type { FarmJob } from "./farm-job.ts";
import { writeAll } from "./printer.ts";
import { asPath, bytesOfText, joined, textOfBytes } from "./raw-text.ts";
import { folderOf, TextTemplate } from "./template.ts";

/** The files of a job: standard output, standard error, and its number. */
export interface ResultFiles {
  readonly stdout: string;
  readonly stderr: string;
  readonly sequence: string;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "/": "\\_",
  "\t": "\\t",
  "\0": "\\0",
};

/** Bytes of a file's name, so that ".err" has room behind it. */
const MOST_NAME = 251;

/** A value as a file's name: of a long one its beginning, and a hash of it. */
export function asFileName(value: string): string {
  const name = value.replace(/[\\/\t\0]/g, (found) => ESCAPES[found]!);
  const bytes = bytesOfText(name);
  if (bytes.length <= MOST_NAME) return name;
  const hash = Bun.hash(bytes).toString(16).padStart(16, "0");
  let end = MOST_NAME - hash.length - 1;
  // No letter is cut in two.
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--;
  return `${textOfBytes(bytes.subarray(0, end))}.${hash}`;
}

/**
 * The files of a job, as GNU parallel names them: in a folder for its values, or as `place` says
 * that names the job itself.
 */
export function resultFiles(place: string, job: FarmJob): ResultFiles {
  const template = new TextTemplate(place);
  if (template.isVaried && !place.endsWith("/")) {
    const stdout = template.text({ ...job, values: job.values.map(asFileName) });
    return { stdout, stderr: `${stdout}.err`, sequence: `${stdout}.seq` };
  }
  const names = job.values.flatMap((value, i) => [String(i + 1), asFileName(value)]);
  const folder = template.isVaried ? template.text(job) : joined(place, ...names);
  return {
    stdout: joined(folder, "stdout"),
    stderr: joined(folder, "stderr"),
    sequence: joined(folder, "seq"),
  };
}

/** Keeps all output under a folder. */
export class ResultTree implements Keeper {
  readonly place: string;
  readonly #path: string;
  #open: [number, number] | null = null;

  constructor(path: string) {
    this.#path = path;
    this.place = `"${path}"`;
  }

  begin(job: FarmJob): void {
    const { stdout, stderr, sequence } = resultFiles(this.#path, job);
    mkdirSync(asPath(folderOf(stdout)), { recursive: true });
    writeFileSync(asPath(sequence), String(job.sequence));
    this.#open = [openSync(asPath(stdout), "w"), openSync(asPath(stderr), "w")];
  }

  take(stream: 0 | 1, bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length;) {
      from += writeSync(this.#open![stream], bytes, from, bytes.length - from);
    }
  }

  end(): void {
    for (const fd of this.#open ?? []) closeSync(fd);
    this.#open = null;
  }

  drop(): void {
    this.end();
  }

  close(): void {
    this.end();
  }
}

/** Prints the name of a file with the standard output of each job, and its standard error. */
export class NamedFiles implements Keeper {
  readonly place = `a file in "${tmpdir()}"`;
  /** That of --results, whose files are there already. */
  readonly #results: string | null;
  #name = "";
  #fd: number | null = null;

  constructor(results: string | null) {
    this.#results = results;
  }

  begin(job: FarmJob): void {
    if (this.#results !== null) {
      this.#name = resultFiles(this.#results, job).stdout;
      return;
    }
    const unique = crypto.randomUUID().slice(0, 8);
    this.#name = join(tmpdir(), `par${process.pid}-${job.sequence}-${unique}.par`);
    this.#fd = openSync(this.#name, "wx", 0o600);
  }

  async take(stream: 0 | 1, bytes: Uint8Array): Promise<void> {
    if (stream === 1) return await writeAll(2, bytes);
    if (this.#fd !== null) await writeAll(this.#fd, bytes);
  }

  async end(): Promise<void> {
    this.close();
    await writeAll(1, bytesOfText(`${this.#name}\n`));
  }

  drop(): void {
    this.close();
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }
}
