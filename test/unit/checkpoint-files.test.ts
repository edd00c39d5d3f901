/** Files that are no checkpoints, or may not be used: each is refused in words, and left as it is. */
import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { CheckpointError } from "../../src/errors.ts";
import { newFolder, openAt, query, run, thrownBy } from "./fixtures/checkpoint/at.ts";
import type { Work } from "./fixtures/checkpoint/writer.ts";

/** Nothing here takes a tenth of it on a quiet machine. */
setDefaultTimeout(60_000);

const WRITER = `${import.meta.dir}/fixtures/checkpoint/writer.ts`;
const NOBODY = 65_534;

function command(work: Work): string[] {
  return [process.execPath, WRITER, JSON.stringify(work)];
}

/** What the writer says last. */
function lastOf(work: Work): string {
  const { stdout, stderr } = Bun.spawnSync(command(work), { stdin: "ignore" });
  return stdout.toString().trim().split("\n").at(-1) || stderr.toString();
}

function refused(path: string, ...texts: string[]): void {
  const isIn = statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory() === true;
  const names = () => (isIn ? readdirSync(dirname(path)) : []);
  const before = names();
  const error = thrownBy(() => openAt(path));
  expect(error).toBeInstanceOf(CheckpointError);
  for (const text of [`Cannot use the checkpoint ${path}: `, ...texts]) {
    expect(error.message).toContain(text);
  }
  expect(names()).toEqual(before);
}

/** The same, of a file whose bytes stay. */
function refusedUntouched(path: string, ...texts: string[]): void {
  const before = readFileSync(path);
  refused(path, ...texts);
  expect(readFileSync(path).equals(before)).toBe(true);
}

describe("refused are", () => {
  test("a folder, a pipe, and what stands below a file or in no folder", () => {
    using folder = newFolder();
    mkdirSync(folder.at("sub"));
    refused(folder.at("sub"), "it is a folder; give the path of a file");
    refused(folder.at("none/a"), `its folder ${folder.at("none")} is not there; make the folder`);
    writeFileSync(folder.at("file"), "");
    refused(folder.at("file/a"), "it cannot be looked at (ENOTDIR");
    refused(folder.at("x".repeat(300)), "it cannot be looked at (ENAMETOOLONG");
    Bun.spawnSync(["mkfifo", folder.at("pipe")]);
    refused(folder.at("pipe"), "it is no regular file");
    symlinkSync(folder.at("none/b"), folder.at("link"));
    refused(folder.at("link"), "cannot be opened");
    symlinkSync(folder.at("loop"), folder.at("loop"));
    refused(folder.at("loop"), "it cannot be looked at (ELOOP");
  });

  test("files of other kinds", () => {
    using folder = newFolder();
    for (const [name, content] of Object.entries({
      text: "a,b\n1,2\n",
      long: "x".repeat(10_000),
      script: readFileSync(import.meta.path, "utf8"),
    })) {
      writeFileSync(folder.at(name), content);
      refusedUntouched(folder.at(name), "it is no SQLite file; nothing was written to it");
    }
  });

  test("SQLite files of other programs, with a log as well, and while these use them", () => {
    using folder = newFolder();
    for (const [name, setup] of [
      ["plain", "CREATE TABLE t (x)"],
      ["empty", "PRAGMA application_id = 99"],
      ["alike", "CREATE TABLE results (position, item, digest, value)"],
      ["log", "PRAGMA journal_mode = WAL; CREATE TABLE t (x); PRAGMA wal_checkpoint"],
    ] as const) {
      const path = folder.at(name);
      const db = new Database(path);
      db.run(setup);
      if (name !== "log") db.close(true);
      refusedUntouched(path, "it is an SQLite file, but no checkpoint of bsync's");
      if (name !== "log") continue;
      db.run("INSERT INTO t VALUES (1)");
      db.close(true);
      expect(query(path, "SELECT x FROM t")).toEqual([[1]]);
    }
  });

  test("those of a later format", () => {
    using folder = newFolder();
    openAt(folder.at("a")).close();
    query(folder.at("a"), "PRAGMA user_version = 2");
    refusedUntouched(folder.at("a"), "its format is 2, and this version of bsync knows format 1");
  });

  test("those that were cut off, wherever", () => {
    using folder = newFolder();
    const items = Array.from({ length: 1_000 }, (_, i) => i);
    {
      using checkpoint = openAt(folder.at("whole"));
      run(checkpoint, items, (x) => `result ${x}`);
    }
    const whole = readFileSync(folder.at("whole"));
    const path = folder.at("cut");
    const { length } = whole;
    const middle = (length >> 13) << 12;
    const pages = [4_096, middle, length - 4_096];
    for (const size of [1, 50, 99, 100, 511, 512, 1_024, ...pages, middle + 1, length - 1]) {
      writeFileSync(path, whole);
      truncateSync(path, size);
      refusedUntouched(path);
    }
    writeFileSync(path, "");
    writeFileSync(`${path}-wal`, whole);
    refusedUntouched(path, "it is empty, but its log", "-wal is not: it was cut off");
  });

  test.each([
    ["place", undefined],
    ["key", (x: number) => `key ${x}`],
  ])("damaged ones, by %s, unless they tell what they should", (_, key) => {
    using folder = newFolder();
    const items = Array.from({ length: 300 }, (_, i) => i);
    const results = items.map((x) => [x]);
    const path = folder.at("whole");
    {
      using checkpoint = openAt({ path, key });
      run(checkpoint, items, (x) => [x]);
    }
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length; at += 1_001) {
      const bytes = Buffer.from(whole);
      bytes.fill(at % 256, at, at + 24);
      // Each at a path of its own: one that is damaged may leave a journal.
      const damaged = folder.at(String(at));
      writeFileSync(damaged, bytes);
      try {
        using checkpoint = openAt({ path: damaged, key });
        expect(run(checkpoint, items, (x) => [x]).results).toEqual(results);
      } catch (error) {
        expect(error).toBeInstanceOf(CheckpointError);
      }
    }
  });

  test("those that may not be written", () => {
    using folder = newFolder();
    const file = (name: string) => folder.at(name);
    chmodSync(folder.path, 0o777);
    mkdirSync(file("sub"));
    for (const name of ["mine", "sub/theirs"]) openAt(file(name)).close();
    chmodSync(file("mine"), 0o444);
    chmodSync(file("sub/theirs"), 0o666);
    chmodSync(file("sub"), 0o555);
    const id = process.getuid!() === 0 ? { id: NOBODY } : {};
    const work = (name: string) => lastOf({ path: file(name), count: 1, ...id });
    expect(work("mine")).toMatch(/^error BSYNC_CHECKPOINT .*it may not be read and written/);
    expect(work("sub/new")).toMatch(/^error BSYNC_CHECKPOINT .*its folder .*\/sub may not be/);
    expect(work("sub/theirs")).toMatch(
      /^error BSYNC_CHECKPOINT .*(?:may not be written|cannot be opened)/,
    );
    expect(readdirSync(file("sub"))).toEqual(["theirs"]);
    chmodSync(file("sub"), 0o755);
  });
});

/** In a mount namespace of its own: for root, or where users may have namespaces. */
test("a disk that becomes full ends it once, and what was committed stays", () => {
  using folder = newFolder();
  const path = folder.at("a.sqlite");
  const quoted = (work: Work) =>
    command(work)
      .map((word) => `'${word}'`)
      .join(" ");
  const filled = quoted({ path, count: 20_000 });
  const script = [
    `mount -t tmpfs -o size=4m tmpfs '${folder.path}'`,
    `head -c 2500000 /dev/zero > '${folder.at("ballast")}'`,
    `${filled} || echo "exit $?"`,
    `rm '${folder.at("ballast")}'`,
    quoted({ path, count: 100 }),
    `ls '${folder.path}'`,
  ].join("\n");
  const { stdout, stderr } = Bun.spawnSync(["unshare", "-rm", "sh", "-c", script], {
    stdin: "ignore",
  });
  expect(stderr.toString()).toBe("");
  const lines = stdout.toString().trim().split("\n");
  const end = lines.findIndex((line) => line.startsWith("error"));
  expect(lines[end]).toMatch(/^error BSYNC_CHECKPOINT .*its disk is full.*: make room, and run/);
  expect(lines[end + 1]).toBe("exit 3");
  const committed = Number(lines[end - 1]!.split(" ")[1]);
  expect(committed).toBeGreaterThan(100);
  const [opening, opened, done, left] = lines.slice(end + 2);
  expect(opening).toBe("opening");
  expect(Number(opened!.split(" ")[1])).toBeGreaterThanOrEqual(committed);
  expect([done, left]).toEqual(["done", "a.sqlite"]);
});
