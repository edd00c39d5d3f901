/** Checkpoints and other processes: SIGKILL at any moment, and two runs at the same time. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { CheckpointError } from "../../src/errors.ts";
import { lane, REAL_CLOCK } from "../lane.ts";
import { ALL_NFS, newFolder, openAt, query, run, thrownBy } from "./fixtures/checkpoint/at.ts";
import { resultOf, type Work } from "./fixtures/checkpoint/writer.ts";

/** Nothing here takes a tenth of it on a quiet machine. */
const LIMIT_MS = lane === "full" ? 600_000 : 60_000;
setDefaultTimeout(LIMIT_MS);

const WRITER = `${import.meta.dir}/fixtures/checkpoint/writer.ts`;

/** A writer, and the lines that it has said. */
class Writer implements AsyncDisposable {
  readonly #child: Bun.Subprocess<"ignore", "pipe", "inherit" | "ignore">;
  readonly #output: AsyncIterator<Uint8Array>;
  #text = "";
  #isOver = false;

  constructor(work: Work, env: Readonly<Record<string, string>> = {}) {
    this.#child = Bun.spawn([process.execPath, WRITER, JSON.stringify(work)], {
      stdin: "ignore",
      stdout: "pipe",
      // Of a network file system it warns; what goes wrong it says on stdout.
      stderr: work.isNetwork === true ? "ignore" : "inherit",
      env: { ...process.env, ...env },
    });
    this.#output = this.#child.stdout.values();
  }

  get pid(): number {
    return this.#child.pid;
  }

  get lines(): string[] {
    return this.#text.split("\n").slice(0, -1);
  }

  /** So many items have been said to be committed. */
  get committed(): number {
    const line = this.lines.findLast((one) => one.startsWith("committed"));
    return Number(line?.split(" ")[1] ?? 0);
  }

  /** Resolves once `holds` does, or the writer has ended. */
  async until(holds: (lines: readonly string[]) => boolean): Promise<void> {
    while (!this.#isOver && !holds(this.lines)) {
      const next = await this.#output.next();
      if (next.done === true) this.#isOver = true;
      else this.#text += Buffer.from(next.value).toString();
    }
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended();
  }

  async ended(): Promise<number> {
    await this.until(() => false);
    return await this.#child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

describe("killed again and again, at random moments", () => {
  const COUNT = 4_000;
  const ROUNDS = lane === "full" ? 100 : 5;

  /** The results that are in the file, all of them checked; -1 for those that are missing. */
  function check(path: string, isKeyed: boolean): number[] {
    const key = isKeyed ? (item: number) => `key ${item}` : undefined;
    using checkpoint = openAt({ path, key });
    return Array.from({ length: COUNT }, (_, item) => {
      const stored = checkpoint.take(item, item);
      if (stored === null) return -1;
      expect(stored.value).toEqual(resultOf(item));
      return item;
    });
  }

  test.each([
    ["a log", {}],
    ["a log, and keys", { isKeyed: true }],
    ["a rollback journal", { isNetwork: true }],
  ])("with %s: nothing that was committed is lost, and the file is sound", async (_, kind) => {
    using folder = newFolder();
    const path = folder.at("a.sqlite");
    const work: Work = { path, count: COUNT, ...kind };
    const isKeyed = "isKeyed" in kind;
    let committed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      await using writer = new Writer(work);
      const lines = Math.floor(Math.random() * 12);
      if (round % 3 === 0) await Bun.sleep(Math.random() * 60);
      else await writer.until((said) => said.length > lines);
      await writer.kill();
      expect(writer.lines.filter((line) => line.startsWith("error"))).toEqual([]);
      committed = Math.max(committed, writer.committed);
      // In some rounds the next writer is the first to find what was left.
      if (round % 2 === 1 || !existsSync(path)) continue;
      if (round % 4 === 0) expect(query(path, "PRAGMA integrity_check")).toEqual([["ok"]]);
      const found = check(path, isKeyed);
      expect(found.slice(0, committed)).not.toContain(-1);
    }
    await using writer = new Writer(work);
    expect(await writer.ended()).toBe(0);
    expect(writer.lines.at(-1)).toBe("done");
    expect(query(path, "PRAGMA integrity_check")).toEqual([["ok"]]);
    expect(check(path, isKeyed)).not.toContain(-1);
    expect(readdirSync(folder.path)).toEqual(["a.sqlite"]);
  });
});

describe("of two runs", () => {
  test("the second is refused with pid and host of the first, until that is killed", async () => {
    using folder = newFolder();
    const path = folder.at("a");
    await using writer = new Writer({ path, count: 100, holds: true });
    await writer.until((lines) => lines.includes("holding"));
    const error = thrownBy(() => openAt(path));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toContain(
      `Cannot use the checkpoint ${path}: process ${writer.pid} on host ${hostname()} has it ` +
        "open since 20",
    );
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
    await writer.kill();
    using checkpoint = openAt(path);
    // The last few were not flushed, and are computed again.
    expect(checkpoint.count).toBeGreaterThanOrEqual(writer.committed);
  });

  test("the second waits for a first one that is about to end", async () => {
    using folder = newFolder();
    const path = folder.at("a");
    await using first = new Writer({ path, count: 10, holds: true });
    await first.until((lines) => lines.includes("holding"));
    await using second = new Writer({ path, count: 10 }, REAL_CLOCK);
    await second.until((lines) => lines.includes("opening"));
    await first.kill();
    expect(await second.ended()).toBe(0);
    expect(second.lines.at(-1)).toBe("done");
  });

  test("one that was killed is not named where a third has the file", async () => {
    using folder = newFolder();
    const path = folder.at("a");
    {
      await using writer = new Writer({ path, count: 10, holds: true });
      await writer.until((lines) => lines.includes("holding"));
    }
    const code =
      "const db = new (require('bun:sqlite').Database)(process.argv[1]);" +
      "db.run('PRAGMA locking_mode = EXCLUSIVE'); db.run('BEGIN EXCLUSIVE');" +
      "console.log('locked'); setInterval(() => {}, 1000)";
    await using shell = Bun.spawn([process.execPath, "-e", code, path], { stdout: "pipe" });
    await shell.stdout.getReader().read();
    expect(() => openAt(path)).toThrow("another process has it open, and it is unknown which;");
    shell.kill("SIGKILL");
    await shell.exited;
    openAt(path).close();
  });

  test("of any number, begun together, one has the file at a time", async () => {
    using folder = newFolder();
    const path = folder.at("a");
    const writers = [1, 2, 3].map(() => new Writer({ path, count: 300 }));
    const codes = await Promise.all(writers.map((writer) => writer.ended()));
    expect(codes).toContain(0);
    for (const { lines } of writers) {
      expect(lines.at(-1)).toMatch(/^done$|^error BSYNC_CHECKPOINT .* has it open/);
    }
    using checkpoint = openAt(path);
    expect(checkpoint.count).toBe(300);
  });

  test("on a network file system, one on another host is known by its sign of life", async () => {
    using folder = newFolder();
    const path = folder.at("a");
    const around = { mounts: ALL_NFS };
    const holder = { pid: 4711, host: "node2", pidSpace: "other", since: "2026-01-01" };
    const leave = () =>
      query(path, `INSERT INTO meta VALUES ('holder', '${JSON.stringify(holder)}')`);
    openAt(path, {}, around).close();
    leave();
    // As one that has lost its host: it gives no sign.
    openAt(path, {}, around).close();
    leave();
    const code =
      "setInterval(() => fs.utimesSync(process.argv[1], Date.now() / 1e3, Date.now() / 1e3), 20)";
    await using other = Bun.spawn([process.execPath, "-e", `${code}; console.log(1)`, path], {
      stdout: "pipe",
    });
    await other.stdout.getReader().read();
    expect(() => openAt(path, {}, around)).toThrow("process 4711 on host node2 has it open since");
    other.kill("SIGKILL");
    await other.exited;
    openAt(path, {}, around).close();
  });

  test("one in a thread of the same process is known as such", async () => {
    using folder = newFolder();
    const path = folder.at("a");
    const { promise, resolve } = Promise.withResolvers<string>();
    using checkpoint = openAt(path);
    run(checkpoint, [1, 2, 3], (x) => x);
    checkpoint.flush();
    const thread = new Worker(new URL("fixtures/checkpoint/thread.ts", import.meta.url).href, {
      argv: [path],
    });
    thread.onmessage = ({ data }) => resolve(String(data));
    expect(await promise).toContain(`another map of this process (pid ${process.pid}, host`);
    thread.terminate();
    // The locks of this thread are still there: the other one has not given them up.
    await using writer = new Writer({ path, count: 1 });
    expect(await writer.ended()).toBe(3);
    run(checkpoint, [1, 2, 3, 4], (x) => x);
  });
});

test("a process that ends by process.exit leaves all results, in one plain file", async () => {
  using folder = newFolder();
  const path = folder.at("a");
  await using writer = new Writer({ path, count: 100, exits: true });
  expect(await writer.ended()).toBe(0);
  expect(readdirSync(folder.path)).toEqual(["a"]);
  expect(query(path, "SELECT count(*) FROM results")).toEqual([[100]]);
});
