/** Keeps the output of all jobs in one SQLite file: file systems suffer from a file for each. */
import { Database, type Statement } from "bun:sqlite";
import { existsSync } from "node:fs";
import { textOf } from "../../errors.ts";
import type { Keeper } from "./delivery.ts";
import { FarmError } from "./errors.ts";
import type { FarmJob } from "./farm-job.ts";
import type { JobResult } from "./job-result.ts";
import { bytesOfText, isOdd } from "./raw-text.ts";

/** Marks a file as such an archive (PRAGMA application_id). */
const APPLICATION = 0x6273_796e;

const TABLES = `
CREATE TABLE IF NOT EXISTS jobs (
  sequence INTEGER PRIMARY KEY, command TEXT, "values" TEXT, host TEXT,
  start REAL, seconds REAL, exit INTEGER, signal INTEGER, tries INTEGER);
CREATE TABLE IF NOT EXISTS output (
  sequence INTEGER, stream INTEGER, part INTEGER, bytes BLOB,
  PRIMARY KEY (sequence, stream, part)) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS texts AS SELECT sequence, command,
  (SELECT group_concat(CAST(bytes AS TEXT), '' ORDER BY part) FROM output
    WHERE output.sequence = jobs.sequence AND stream = 1) AS stdout,
  (SELECT group_concat(CAST(bytes AS TEXT), '' ORDER BY part) FROM output
    WHERE output.sequence = jobs.sequence AND stream = 2) AS stderr
  FROM jobs;`;

export class Archive implements Keeper {
  readonly place: string;
  readonly #database: Database;
  readonly #addJob: Statement;
  readonly #addPart: Statement;
  readonly #forget: Statement;
  #sequence = 0;
  #part = 0;

  /** `goesOn`: the file may be there, and what it has stays. */
  constructor(path: string, goesOn: boolean) {
    this.place = `"${path}"`;
    if (!goesOn && existsSync(path)) {
      throw new FarmError(
        `Cannot keep output in "${path}": it is there already; remove it, give another name, or ` +
          "--resume",
      );
    }
    try {
      this.#database = open(path);
      this.#addJob = this.#database.prepare(
        "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      );
      this.#addPart = this.#database.prepare("INSERT INTO output VALUES (?, ?, ?, ?)");
      this.#forget = this.#database.prepare("DELETE FROM output WHERE sequence = ?");
    } catch (error) {
      throw new FarmError(`Cannot keep output in "${path}": ${textOf(error)}`);
    }
  }

  begin(job: FarmJob, { host, start, runTime, exit, signal }: JobResult): void {
    const { sequence, line, values, tries } = job;
    this.#sequence = sequence;
    this.#part = 0;
    this.#database.exec("BEGIN");
    this.#forget.run(sequence);
    const text = JSON.stringify(values);
    const [startTime, seconds] = [start / 1_000, runTime / 1_000];
    const command = isOdd(line) ? bytesOfText(line) : line;
    this.#addJob.run(sequence, command, text, host, startTime, seconds, exit, signal, tries);
  }

  take(stream: 0 | 1, bytes: Uint8Array): void {
    this.#addPart.run(this.#sequence, stream + 1, this.#part++, bytes);
  }

  end(): void {
    this.#database.exec("COMMIT");
  }

  drop(): void {
    if (this.#database.inTransaction) this.#database.exec("ROLLBACK");
  }

  close(): void {
    this.#database.close();
  }
}

function open(path: string): Database {
  const database = new Database(path, { create: true });
  // One writer, and no file of shared memory, which network file systems cannot have.
  database.exec("PRAGMA locking_mode = EXCLUSIVE");
  const { application_id: application } = database.query("PRAGMA application_id").get() as {
    application_id: number;
  };
  const { count } = database.query("SELECT count(*) AS count FROM sqlite_schema").get() as {
    count: number;
  };
  if (application !== APPLICATION && count > 0) throw new Error("it is no archive of bsync multi");
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
PRAGMA application_id = ${APPLICATION};${TABLES}`);
  return database;
}
