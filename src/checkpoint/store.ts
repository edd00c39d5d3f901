/**
 * The SQLite file of a checkpoint: who has it, what it was made for, rows in and out.
 *
 * One process has it at a time. The exclusive lock comes before the write-ahead log, so that SQLite
 * needs no shared memory, and leaves no `-shm` file. The lock decides, and ends with its process,
 * however that ends; the holder's name in the file is for the message to other processes, which
 * read it without a lock. Only on network file systems does it mean more: see heartbeat.ts.
 *
 * `synchronous = NORMAL` under a write-ahead log: a commit is a write to the kernel's memory, which
 * outlives every process. Only where the machine itself stops may the last commits be lost, and
 * never more than those. On a network file system, where that is not so, each commit is written
 * through.
 */
import type { Database, Statement } from "bun:sqlite";
import { accessSync, constants as access, statSync } from "node:fs";
import { dirname } from "node:path";
import type { CheckpointError } from "../errors.ts";
import { ownIdentity, sharesPids } from "../os/identity.ts";
import { Date, JSON } from "../os/natives.ts";
import { RELEASED_MS } from "../os/waits.ts";
import type { Maker } from "./computation.ts";
import { beat, isBeating } from "./heartbeat.ts";
import { PAGE, Pages, type PlacedRow, VALUE } from "./pages.ts";
import {
  APPLICATION,
  closeQuietly,
  holderIn,
  metaIn,
  numberIn,
  openFile,
  peek,
  valuesOf,
} from "./queries.ts";
import { codeOf, DAMAGED, explain, type Holder, inUse, type Place, refusal } from "./refusals.ts";

/** Of the tables. A file of a later one is refused. */
const FORMAT = 1;

const TABLES: Readonly<Record<Maker["by"], string>> = {
  place:
    "CREATE TABLE results (position INTEGER PRIMARY KEY, item TEXT NOT NULL, " +
    "digest INTEGER NOT NULL, value BLOB NOT NULL)",
  // Without an index: keys come in any order, and each would have a page of its own written anew.
  key: "CREATE TABLE results (id INTEGER PRIMARY KEY, key NOT NULL, value BLOB NOT NULL)",
};

/** Keys that are read at a time. */
const KEYS = 10_000;

/** A row of results: position, item, digest and value; or null, key and value. */
export type Row = readonly (number | string | Uint8Array | null)[];

/** The files that this thread has open, by device and inode. */
const open = new Map<string, Store>();

export class Store {
  readonly #db: Database;
  readonly #place: Place;
  readonly #inode: string;
  readonly #statements: Statement[];
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #pages: Pages | null;
  readonly #select: Statement | null;
  readonly #insert: Statement;
  readonly #stopBeat: (() => void) | null;
  /** Rows that were there when it was opened. */
  readonly count: number;
  /** The last position that was there; -1 without one. */
  readonly last: number;

  /**
   * `choose` gets what the file was made for, null for a new one, and returns what it is for from
   * now on, or throws: then the file stays as it is.
   */
  static open(place: Place, choose: (made: Maker | null) => Maker): Store {
    look(place);
    let db: Database | null = null;
    const statements: Statement[] = [];
    try {
      db = openFile(place.path);
      lock(db, place);
      identify(db, place, choose);
      return new Store(db, place, statements);
    } catch (error) {
      for (const statement of statements) statement.finalize();
      if (db !== null) closeQuietly(db);
      throw codeOf(error).startsWith("SQLITE_BUSY")
        ? inUse(place, peek(place.path).holder, error)
        : explain(error, place);
    }
  }

  private constructor(db: Database, place: Place, statements: Statement[]) {
    this.#db = db;
    this.#statements = statements;
    this.#place = place;
    const columns = valuesOf(db, "PRAGMA table_info(results)").length;
    const marks = Array.from({ length: columns }, () => "?").join(", ");
    const isKeyed = columns === 3;
    const last = isKeyed ? -1 : "coalesce(max(position), -1)";
    const [row] = valuesOf(db, `SELECT count(*), ${last} FROM results`);
    [this.count, this.last] = row as [number, number];
    this.#begin = this.#prepare("BEGIN IMMEDIATE");
    this.#commit = this.#prepare("COMMIT");
    this.#pages = isKeyed ? null : new Pages(this.#prepare(PAGE), this.#prepare(VALUE));
    this.#select = isKeyed ? this.#prepare("SELECT value FROM results WHERE id = ?") : null;
    this.#insert = this.#prepare(`INSERT OR REPLACE INTO results VALUES (${marks})`);
    this.#inode = inodeOf(place.path) ?? "";
    this.#stopBeat = place.network === null ? null : beat(place.path);
    open.set(this.#inode, this);
  }

  #prepare(sql: string): Statement {
    const statement = this.#db.prepare(sql);
    this.#statements.push(statement);
    return statement;
  }

  /** The row of a position, in a file without keys; quick where positions rise. */
  at(position: number): PlacedRow | null {
    if (position > this.last) return null;
    try {
      return this.#pages?.at(position) ?? null;
    } catch (error) {
      throw explain(error, this.#place);
    }
  }

  /** The keys of a file with keys, as `keyCell` made them, each with the number of its row. */
  *keys(): Iterable<readonly [id: number, key: string | Uint8Array]> {
    const statement = this.#db.prepare(
      `SELECT id, key FROM results WHERE id > ? ORDER BY id LIMIT ${KEYS}`,
    );
    try {
      for (let last = 0; ;) {
        const rows = statement.values(last) as [number, string | Uint8Array][];
        for (const row of rows) {
          const isKey = typeof row[1] === "string" || row[1] instanceof Uint8Array;
          if (!isKey) throw damaged(this.#place.path);
          yield row;
        }
        if (rows.length < KEYS) return;
        last = rows.at(-1)![0];
      }
    } catch (error) {
      throw explain(error, this.#place);
    } finally {
      statement.finalize();
    }
  }

  /** The value of a row of such a file. */
  valueOf(id: number): Uint8Array {
    try {
      const row = this.#select?.get(id) as { value: Uint8Array } | undefined;
      if (row === undefined || row === null) throw damaged(this.#place.path);
      return row.value;
    } catch (error) {
      throw explain(error, this.#place);
    }
  }

  /** Commits all of these rows, or throws and keeps none. */
  write(rows: readonly Row[]): void {
    this.#checkPath();
    try {
      this.#begin.run();
      for (const row of rows) this.#insert.run(...row);
      this.#commit.run();
    } catch (error) {
      try {
        if (this.#db.inTransaction) this.#db.run("ROLLBACK");
      } catch {
        // The first error tells more.
      }
      throw explain(error, this.#place);
    }
  }

  /** Throws where the path leads to another file by now, or to none. */
  #checkPath(): void {
    const now = inodeOf(this.#place.path);
    if (now === this.#inode) return;
    throw refusal(
      this.#place.path,
      now === null
        ? "the file was removed or moved while it was in use"
        : "another file took its place while it was in use",
      "results since then are not kept: leave the file where it is while a map runs",
    );
  }

  /**
   * Leaves one plain file, without a log beside it, if it can be written, and the path still leads
   * to it. May be called twice, and never throws: what was committed is safe without it.
   */
  close(): void {
    if (open.get(this.#inode) !== this) return;
    this.#stopBeat?.();
    const isThere = inodeOf(this.#place.path) === this.#inode;
    try {
      if (isThere) this.#db.run("DELETE FROM meta WHERE name = 'holder'");
    } catch {
      // The next run takes the file over all the same.
    }
    for (const statement of this.#statements) statement.finalize();
    try {
      if (isThere) this.#db.run("PRAGMA journal_mode = DELETE");
    } catch {
      // The log stays, and is read when the file is opened next.
    }
    closeQuietly(this.#db);
    open.delete(this.#inode);
  }
}

/** Refuses, before anything is opened, what cannot be such a file. */
function look(place: Place): void {
  const { path } = place;
  const file = stat(path);
  if (file === null) {
    const folder = dirname(path);
    if (stat(folder)?.isDirectory() === true) return checkAccess(folder, path);
    throw refusal(
      path,
      `its folder ${folder} is not there`,
      "make the folder, or give another path",
    );
  }
  if (file.isDirectory()) {
    throw refusal(path, "it is a folder", "give the path of a file, as one in that folder");
  }
  if (!file.isFile()) throw refusal(path, "it is no regular file", "give another path");
  const holder = open.get(`${file.dev}:${file.ino}`);
  if (holder !== undefined) throw inUse(place, peek(path).holder ?? thisProcess());
  checkAccess(path, path);
  if (file.size === 0) {
    const log = stat(`${path}-wal`);
    if (log === null || log.size === 0) return;
    const finding = `it is empty, but its log ${path}-wal is not: it was cut off`;
    throw refusal(path, finding, "remove both to begin anew, or give another path");
  }
  const { application, tables, pageBytes } = peek(path);
  if (application !== APPLICATION && (application !== 0 || tables > 0)) throw foreign(path);
  // SQLite notices missing pages, but takes missing bytes for zeros.
  if (file.size % pageBytes !== 0 && !hasLog(path)) throw damaged(path);
}

/** Whether a killed process has left something beside a file that belongs into it. */
function hasLog(path: string): boolean {
  return ["-wal", "-journal"].some((end) => (stat(`${path}${end}`)?.size ?? 0) > 0);
}

function stat(path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    const { message } = error as Error;
    throw refusal(path, `it cannot be looked at (${message})`, "give another path", error);
  }
}

/** SQLite would open a file that may not be written, and tell only later. */
function checkAccess(target: string, path: string): void {
  try {
    accessSync(target, access.R_OK | access.W_OK);
  } catch (error) {
    const what = target === path ? "it" : `its folder ${target}`;
    throw refusal(
      path,
      `${what} may not be read and written (${codeOf(error)})`,
      "make it, and its folder, writable, or give another path",
      error,
    );
  }
}

function foreign(path: string): CheckpointError {
  return refusal(
    path,
    "it is an SQLite file, but no checkpoint of bsync's",
    "nothing was written to it; give another path",
  );
}

function damaged(path: string, cause?: unknown): CheckpointError {
  return refusal(path, ...DAMAGED, cause);
}

function inodeOf(path: string): string | null {
  try {
    const file = statSync(path, { throwIfNoEntry: false });
    return file === undefined ? null : `${file.dev}:${file.ino}`;
  } catch {
    return null;
  }
}

function makerIn(db: Database, path: string): Maker {
  let found: unknown = null;
  try {
    found = metaIn(db, "maker");
  } catch (error) {
    if (codeOf(error).startsWith("SQLITE_")) throw error;
    throw damaged(path, error);
  }
  if (typeof found !== "object" || found === null || !("text" in found)) throw damaged(path);
  return found as Maker;
}

function lock(db: Database, { network }: Place): void {
  db.run(`PRAGMA busy_timeout = ${Math.ceil(RELEASED_MS)}`);
  db.run("PRAGMA locking_mode = EXCLUSIVE");
  db.run(`PRAGMA synchronous = ${network === null ? "NORMAL" : "FULL"}`);
  db.run("BEGIN EXCLUSIVE");
}

/** Within the transaction that has locked the file; nothing is written where this throws. */
function identify(db: Database, place: Place, choose: (made: Maker | null) => Maker): void {
  const { path, network } = place;
  const application = numberIn(db, "PRAGMA application_id");
  const isNew = application === 0 && numberIn(db, "SELECT count(*) FROM sqlite_master") === 0;
  if (!isNew && application !== APPLICATION) throw foreign(path);
  const format = numberIn(db, "PRAGMA user_version");
  if (!isNew && format !== FORMAT) {
    const finding = `its format is ${format}, and this version of bsync knows format ${FORMAT}`;
    throw refusal(path, finding, "use the version that made it, or give another path");
  }
  // The lock is free, but it may not reach the host of the last holder.
  const before = network === null || isNew ? null : holderIn(db);
  if (before !== null && !sharesPids(before) && isBeating(path)) throw inUse(place, before);
  const maker = choose(isNew ? null : makerIn(db, path));
  if (isNew) {
    db.run(`PRAGMA application_id = ${APPLICATION}`);
    db.run(`PRAGMA user_version = ${FORMAT}`);
    db.run("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)");
    db.run(TABLES[maker.by]);
  }
  const insert = db.prepare("INSERT OR REPLACE INTO meta VALUES (?, ?)");
  insert.run("maker", JSON.stringify(maker));
  insert.run("holder", JSON.stringify(thisProcess()));
  insert.finalize();
  db.run("COMMIT");
  db.run(`PRAGMA journal_mode = ${network === null ? "WAL" : "DELETE"}`);
  if (network !== null) return;
  // The holder has to stand in the file itself, where others read it.
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
}

function thisProcess(): Holder {
  return { ...ownIdentity(), since: new Date().toISOString() };
}
