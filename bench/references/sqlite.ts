/**
 * The floor under a checkpoint: as many rows of a number and some bytes, by bun:sqlite alone, with
 * the same settings, 1,000 in a transaction. Percent of a core at 10^4 rows a second.
 */
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { report } from "../programs/report.ts";

const ROWS = 200_000;
const TOGETHER = 1_000;
const PER_SECOND = 10_000;

const folder = mkdtempSync(join(tmpdir(), "bsync-bench-"));
try {
  const db = new Database(join(folder, "rows"));
  db.run("PRAGMA locking_mode = EXCLUSIVE");
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA synchronous = NORMAL");
  db.run("CREATE TABLE rows (id INTEGER PRIMARY KEY, value BLOB)");
  const insert = db.prepare("INSERT INTO rows VALUES (?, ?)");
  const value = new Uint8Array(15);
  const before = process.cpuUsage();
  for (let from = 0; from < ROWS; from += TOGETHER) {
    db.run("BEGIN");
    for (let id = from; id < from + TOGETHER; id++) insert.run(id, value);
    db.run("COMMIT");
  }
  const { user, system } = process.cpuUsage(before);
  const us = (user + system) / ROWS;
  insert.finalize();
  db.close(true);
  report({ rows: (us / 1e6) * PER_SECOND * 100 });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
