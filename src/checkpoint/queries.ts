/** Queries on a file of SQLite, and a look at one that another process may have open. */
import { constants, Database } from "bun:sqlite";
import { JSON } from "../os/natives.ts";
import type { Holder } from "./refusals.ts";

/** "bsck" as a number: it tells bsync's checkpoints from other SQLite files. */
export const APPLICATION = 0x6273636b;

const { SQLITE_OPEN_CREATE, SQLITE_OPEN_READONLY, SQLITE_OPEN_READWRITE, SQLITE_OPEN_URI } =
  constants;

/** Opens or makes a file of any name. */
export function openFile(path: string): Database {
  const flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI;
  return new Database(uriOf(path), flags);
}

/** A path in which nothing means anything else; of a plain one Bun would cut off blanks. */
function uriOf(path: string): string {
  return `file:${encodeURI(path.toWellFormed()).replaceAll("?", "%3f").replaceAll("#", "%23")}`;
}

export interface Peeked {
  /** 0 also where it could not be read. */
  readonly application: number;
  readonly tables: number;
  /** 1 where it could not be read. */
  readonly pageBytes: number;
  readonly holder: Holder | null;
}

/**
 * What a file says, read without a lock and without its log, as only for messages and first looks
 * it may. Not by way of `node:fs`: closing a file gives up the locks that SQLite has on it in this
 * process, in another thread as well.
 */
export function peek(path: string): Peeked {
  let db: Database | null = null;
  let application = 0;
  let tables = 0;
  let pageBytes = 1;
  let holder: Holder | null = null;
  try {
    db = new Database(`${uriOf(path)}?immutable=1`, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
    application = numberIn(db, "PRAGMA application_id");
    pageBytes = numberIn(db, "PRAGMA page_size");
    tables = numberIn(db, "SELECT count(*) FROM sqlite_master");
    if (application === APPLICATION) holder = holderIn(db);
  } catch {
    // No SQLite file, or one that is just being written: opening it in earnest will tell.
  }
  if (db !== null) closeQuietly(db);
  return { application, tables, pageBytes, holder };
}

/** Rows of a query. A statement that is not finalized would keep the file locked past `close`. */
export function valuesOf(db: Database, sql: string, ...params: string[]): unknown[][] {
  const statement = db.prepare(sql);
  try {
    return statement.values(...params);
  } finally {
    statement.finalize();
  }
}

export function numberIn(db: Database, sql: string): number {
  return Number(valuesOf(db, sql)[0]?.[0] ?? 0);
}

export function metaIn(db: Database, name: string): unknown {
  const [row] = valuesOf(db, "SELECT value FROM meta WHERE name = ?", name);
  return row === undefined ? null : JSON.parse(String(row[0]));
}

/** The process that says in a file that it has it open; null if none does. */
export function holderIn(db: Database): Holder | null {
  try {
    const found = metaIn(db, "holder");
    const isHolder = typeof found === "object" && found !== null && "since" in found;
    return isHolder ? (found as Holder) : null;
  } catch {
    // Damaged: reading the rest will tell.
    return null;
  }
}

export function closeQuietly(db: Database): void {
  try {
    db.close(true);
  } catch {
    // What failed before is told.
  }
}
