/** Checkpoints: what is kept, how items are known again, and what is refused. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { Checkpoint, Surroundings } from "../../src/checkpoint/checkpoint.ts";
import { networkFileSystem } from "../../src/checkpoint/mounts.ts";
import { checkCheckpoint } from "../../src/checkpoint/options.ts";
import { digestOf, ResultCodec } from "../../src/checkpoint/values.ts";
import { CheckpointError, ValueError } from "../../src/errors.ts";
import { ALL_NFS, newFolder, openAt, query, run, thrownBy } from "./fixtures/checkpoint/at.ts";

/** Nothing here takes a tenth of it on a quiet machine. */
setDefaultTimeout(60_000);

const double = (x: number) => 2 * x;

describe("the option", () => {
  test("is a path, or an object with one, which counts from the folder of that moment", () => {
    const path = `${process.cwd()}/some.sqlite`;
    const none = { key: null, version: null, accept: false };
    expect(checkCheckpoint("some.sqlite")).toEqual({ path, ...none });
    expect(checkCheckpoint({ path: "./a/../some.sqlite" })).toEqual({ path, ...none });
    expect(checkCheckpoint({ path, version: undefined, key: undefined })).toEqual({
      path,
      ...none,
    });
    const key = (item: string) => item;
    expect(checkCheckpoint({ path, key, version: 0, accept: true })).toEqual({
      path,
      key,
      version: 0,
      accept: true,
    });
    expect(checkCheckpoint(":memory:").path).toBe(`${process.cwd()}/:memory:`);
  });

  test.each([
    [null, "expected a path or { path, key, version, accept }, got null"],
    [7, "got 7"],
    [["a"], "expected a path or {"],
    ["", "path must be the path of a file"],
    ["a\0b", "path must be the path of a file"],
    [{}, "path is missing"],
    [{ path: 7 }, "path must be the path of a file, got 7"],
    [Object.create({ path: "a" }), "path is missing"],
    [{ path: "a", file: "b" }, 'unknown property "file"; there are path, key, version, accept'],
    [{ path: "a", key: "id" }, 'key must be a function (item, index) => string, got "id"'],
    [{ path: "a", version: NaN }, "version must be a finite number or a text, got NaN"],
    [{ path: "a", version: 1n }, "version must be a finite number or a text"],
    [{ path: "a", accept: 1 }, "accept must be true or false, got 1"],
  ])("case %# is a TypeError, which says what is wrong", (option, text) => {
    const error = thrownBy(() => checkCheckpoint(option));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain("Cannot use the option checkpoint: ");
    expect(error.message).toContain(text);
  });
});

describe("results", () => {
  const values = [
    ...[0, -0, NaN, 1.5, "", "a\0\ud800", null, undefined, true, 2n ** 70n],
    ...[[], [1, , 3], { a: { b: [] } }, new Map([["k", new Set([1])]]), new Date(5), /x/gi],
    ...[new Uint8Array(3), new Float64Array(20_000).fill(1.5), [new Uint8Array(1e5), 1, "z"]],
    ...[new RangeError("far"), Buffer.from("abc"), Object.create(null)],
  ];

  test("come back as they were, from both kinds of files", () => {
    using folder = newFolder();
    const items = values.map((_, i) => i);
    for (const mounts of [undefined, ALL_NFS]) {
      const path = folder.at(`values-${mounts === undefined}`);
      const around = mounts === undefined ? {} : { mounts };
      const f = (i: number) => values[i];
      {
        using checkpoint = openAt(path, {}, around);
        expect(checkpoint.count).toBe(0);
        expect(run(checkpoint, items, f).computed).toEqual(items);
      }
      using checkpoint = openAt(path, {}, around);
      expect(checkpoint.count).toBe(values.length);
      const { results, computed } = run(checkpoint, items, f);
      expect(computed).toEqual([]);
      expect(results).toEqual(values);
      expect(Object.is(results[1], -0)).toBe(true);
    }
  });

  test("are those of the moment at which they were added", () => {
    using folder = newFolder();
    const value = { list: [1] };
    {
      using checkpoint = openAt(folder.at("a"));
      for (const i of [0, 1]) checkpoint.take(i, i);
      checkpoint.add(0, value);
      checkpoint.add(1, value);
      value.list.push(2);
    }
    using checkpoint = openAt(folder.at("a"));
    expect(checkpoint.take(1, 1)).toEqual({ value: { list: [1] } });
  });

  test("that are missing are computed, wherever they were missing", () => {
    using folder = newFolder();
    const items = Array.from({ length: 2_000 }, (_, i) => i);
    const isDone = (i: number) => i % 7 !== 0 && (i < 300 || i > 900);
    {
      using checkpoint = openAt(folder.at("a"));
      for (const i of items) {
        expect(checkpoint.take(i, i)).toBeNull();
        if (isDone(i)) checkpoint.add(i, i % 5 === 0 ? new Uint8Array(40_000).fill(i) : 2 * i);
        else checkpoint.drop(i);
      }
    }
    using checkpoint = openAt(folder.at("a"));
    const { results, computed } = run(checkpoint, items, () => "new");
    expect(computed).toEqual(items.filter((i) => !isDone(i)));
    expect(results[5]).toEqual(new Uint8Array(40_000).fill(5));
    expect(results[1_999]).toBe(3_998);
    // Whoever asks once more, for an earlier one, gets it as well.
    expect(checkpoint.take(4, 4)).toEqual({ value: 8 });
  });

  test("of fewer and of more items than before are found", () => {
    using folder = newFolder();
    for (const [count, computed] of [
      [3, [0, 1, 2]],
      [1, []],
      [5, [3, 4]],
      [5, []],
    ] as const) {
      using checkpoint = openAt(folder.at("a"));
      const items = Array.from({ length: count }, (_, i) => i);
      expect(run(checkpoint, items, double)).toEqual({
        results: items.map(double),
        computed: [...computed],
      });
    }
  });

  test("that cannot be kept are a CheckpointError with their path, and harm no other", () => {
    using folder = newFolder();
    {
      using checkpoint = openAt(folder.at("a"));
      for (const i of [0, 1]) checkpoint.take(i, i);
      const error = thrownBy(() => checkpoint.add(0, { deep: [() => 1] }));
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toContain("the result of item 0 cannot be kept in it");
      expect(error.message).toContain("result.deep[0]");
      checkpoint.add(1, "kept");
    }
    using checkpoint = openAt(folder.at("a"));
    expect(checkpoint.take(0, 0)).toBeNull();
    expect(checkpoint.take(1, 1)).toEqual({ value: "kept" });
  });

  test("of which the bytes are damaged are refused, with the item", () => {
    using folder = newFolder();
    for (const value of ["x''", "x'07'", "x'0109'", "value || x'00'", "zeroblob(20)", "'text'"]) {
      rmSync(folder.at("b"), { force: true });
      {
        using checkpoint = openAt(folder.at("b"));
        run(checkpoint, [1], double);
      }
      query(folder.at("b"), `UPDATE results SET value = ${value}`);
      using checkpoint = openAt(folder.at("b"));
      const error = thrownBy(() => checkpoint.take(1, 0));
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toContain("the result of item 0 in it cannot be read");
      expect(error.cause).toBeInstanceOf(ValueError);
    }
  });

  test("are encoded as in every version: those of the first are read for ever", () => {
    const codec = new ResultCodec(null);
    const bytes = codec.encode([1, { a: "b" }], "result");
    expect(Buffer.from(bytes).toString("hex")).toBe("01014d1032ae8201a161616162");
    expect(codec.decode(bytes)).toEqual([1, { a: "b" }]);
  });
});

describe("items by their place", () => {
  test("are refused where another one stood there, the first of them with both forms", () => {
    using folder = newFolder();
    const f = (x: object) => x;
    {
      using checkpoint = openAt(folder.at("a"));
      run(checkpoint, [{ lr: 0.1 }, { lr: 0.2 }, { lr: 0.3 }], f);
    }
    using checkpoint = openAt(folder.at("a"));
    expect(checkpoint.take({ lr: 0.1 }, 0)).not.toBeNull();
    const error = thrownBy(() => checkpoint.take({ lr: 0.25 }, 1));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error).toMatchObject({ code: "BSYNC_CHECKPOINT" });
    expect(error.message).toContain("item 1 was { lr: 0.2 }, and is { lr: 0.25 };");
    expect(error.message).toContain("`accept: true`");
  });

  test("are told apart by all of their content", () => {
    using folder = newFolder();
    const long = "x".repeat(1_000);
    {
      using checkpoint = openAt(folder.at("a"));
      run(checkpoint, [`${long}a${long}`], () => 1);
    }
    using checkpoint = openAt(folder.at("a"));
    const error = thrownBy(() => checkpoint.take(`${long}b${long}`, 0));
    expect(error.message).toContain(", which differ further inside");
  });

  test("are taken all the same with accept, and from then on without it", () => {
    using folder = newFolder();
    for (const [option, items] of [
      [{}, ["a", "b"]],
      [{ accept: true }, ["a", "c"]],
      [{}, ["a", "c"]],
    ] as const) {
      using checkpoint = openAt({ path: folder.at("a"), ...option });
      expect(run(checkpoint, items, (x) => `of ${x}`).results).toEqual(["of a", "of b"]);
    }
  });

  test("have a digest that is the same in every process, of functions and errors as well", () => {
    expect(digestOf({ a: [1, "x", new Map([[1, { b: 2n }]])] })).toBe(104839953391513);
    expect(digestOf(new Error("x"))).toBe(digestOf(new Error("x")));
    expect(digestOf(() => 1)).toBe(digestOf(() => 1));
    const others = [0, -0, "", "0", null, undefined, [], {}, "\ud800", "\ufffd", false, 0n];
    const more = [() => 1, () => 2, new Uint8Array(1e5), new Uint8Array(1e5).fill(1), { a: 1 }];
    const all = [...others, ...more, { a: 2 }, [1, 2], [2, 1], new Uint16Array(0)].map(digestOf);
    expect(new Set(all).size).toBe(all.length);
  });

  test("that cannot travel are left to their call, which says so better", () => {
    using folder = newFolder();
    using checkpoint = openAt(folder.at("a"));
    expect(checkpoint.take({ socket: Promise.resolve() }, 0)).toBeNull();
    expect(checkpoint.take(Symbol("s"), 1)).toBeNull();
  });

  test("of starmap are shown as arguments", () => {
    using folder = newFolder();
    {
      using checkpoint = openAt(folder.at("a"), { kind: "starmap" });
      run(checkpoint, [[1, "x"]], () => 1);
    }
    using checkpoint = openAt(folder.at("a"), { kind: "starmap" });
    expect(() => checkpoint.take([2, "x"], 0)).toThrow('item 0 was 1, "x", and is 2, "x"');
  });
});

describe("items by their key", () => {
  const odd = [
    ...["", "a", "a\0", "a\0b", "\0", "\ud800", "\udc00", "\ufffd", "\ufeff", "\ufeffa", "é"],
    ...["e\u0301", "A", "1", "01", "1.0", " ", "a ", "x".repeat(1 << 20), "\u{1f600}", "'", '"'],
  ];

  test("are found wherever they stand, whatever their content", () => {
    using folder = newFolder();
    const option = { path: folder.at("a"), key: (item: { id: string }) => item.id };
    {
      using checkpoint = openAt(option);
      const items = odd.map((id) => ({ id, at: 1 }));
      expect(run(checkpoint, items, ({ id }) => id).computed.length).toBe(odd.length);
    }
    using checkpoint = openAt(option);
    expect(checkpoint.count).toBe(odd.length);
    const items = [...odd.toReversed(), "new"].map((id) => ({ id, at: 2 }));
    const { results, computed } = run(checkpoint, items, () => "computed");
    expect(computed).toEqual([odd.length]);
    expect(results).toEqual([...odd.toReversed(), "computed"]);
  });

  test("are refused where a key comes twice, with both places; also that of a failed one", () => {
    using folder = newFolder();
    using checkpoint = openAt({ path: folder.at("a"), key: (x: string) => x });
    checkpoint.take("x", 0);
    checkpoint.take("y", 1);
    checkpoint.drop(0);
    const error = thrownBy(() => checkpoint.take("x", 2));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toContain('items 0 and 2 have the same key, "x"');
  });

  test.each([
    [() => 7, "returned 7"],
    [() => undefined, "returned undefined"],
    [async () => "a", "returned a promise"],
  ])("have to be texts, case %#", (key, text) => {
    using folder = newFolder();
    using checkpoint = openAt({ path: folder.at("a"), key });
    const error = thrownBy(() => checkpoint.take("x", 3));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toContain(`Cannot use the key of item 3: key must return a text, and`);
    expect(error.message).toContain(text);
  });

  test("get item and index; what the function throws is thrown as it is", () => {
    using folder = newFolder();
    const seen: unknown[] = [];
    const failure = new Error("mine");
    const key = (...args: unknown[]) => {
      seen.push(args);
      if (args[0] === "bad") throw failure;
      return "k";
    };
    using checkpoint = openAt({ path: folder.at("a"), key });
    checkpoint.take("good", 0);
    expect(thrownBy(() => checkpoint.take("bad", 1))).toBe(failure);
    expect(seen).toEqual([
      ["good", 0],
      ["bad", 1],
    ]);
  });
});

describe("a file made for something else is refused", () => {
  const text = "function f(x) {\n  const a = 1;\n  return a + x;\n}";

  function refused(before: object, option: object, now: object, was: object = {}): string {
    using folder = newFolder();
    const path = folder.at("a");
    {
      using checkpoint = openAt({ path, ...was }, { label: "f", text, ...before });
      run(checkpoint, [1], double);
    }
    const bytes = query(path, "SELECT * FROM meta");
    const error = thrownBy(() => openAt({ path, ...option }, { label: "f", text, ...now }));
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error.message).toContain(`Cannot use the checkpoint ${path}: `);
    expect(query(path, "SELECT * FROM meta")).toEqual(bytes);
    expect(query(path, "SELECT count(*) FROM results")).toEqual([[1]]);
    return error.message;
  }

  test("by another text of the function, with the line as it was and is", () => {
    expect(refused({}, {}, { text: text.replace("a + x", "a - x") })).toContain(
      'the function f has changed: line 3 was "  return a + x;", and is "  return a - x;"; ',
    );
    expect(refused({}, {}, { text: `${text}\n` })).toContain('line 5 was not there, and is ""');
    expect(refused({}, {}, { text: text.slice(0, -2) })).toContain(
      'line 4 was "}", and is not there any more',
    );
    expect(refused({}, {}, { text: text.replace("  return", "\treturn") })).toContain(
      'line 3 was "  return a + x;", and is "\\treturn a + x;"',
    );
    expect(refused({}, {}, { label: "g", text: "(x) => 1" })).toContain(
      "it was made by the function f, and this is g: line 1 was",
    );
  });

  test("with the part of a long line that differs", () => {
    const line = `${"a".repeat(500)}OLD${"b".repeat(500)}`;
    const message = refused({ text: line }, {}, { text: line.replace("OLD", "NEW") });
    expect(message).toMatch(/was "…a{40}OLDb+…", and is "…a{40}NEWb+…"/);
    expect(message.length).toBeLessThan(800);
  });

  test("by another version", () => {
    expect(refused({}, { version: 2 }, {})).toContain(
      'it was made with no version, and this map has version "2"; give another path',
    );
    expect(refused({}, {}, {}, { version: 2 })).toContain(
      'made with version "2", and this map has no version',
    );
    expect(refused({}, { version: "2b" }, {}, { version: 2 })).toContain('version "2b"');
  });

  test("by map for starmap, and by place for keys", () => {
    expect(refused({}, {}, { kind: "starmap" })).toContain(
      "it was made by pool.map, and this is pool.starmap",
    );
    const message = refused({}, { key: String, accept: true }, {});
    expect(message).toContain("its items are known by their place, without a key, and those of");
    expect(message).not.toContain("accept");
  });

  test("unless accept says so, which the next run need not say again", () => {
    using folder = newFolder();
    const path = folder.at("a");
    for (const [option, text] of [
      [{}, "old"],
      [{ accept: true, version: 3 }, "new"],
      [{ version: 3 }, "new"],
    ] as const) {
      using checkpoint = openAt({ path, ...option }, { text });
      expect(run(checkpoint, [7], () => option).results).toEqual([{}]);
    }
    expect(() => openAt({ path }, { text: "old" })).toThrow(CheckpointError);
  });

  test("and another version of Bun is named, which may print a function otherwise", () => {
    using folder = newFolder();
    const path = folder.at("a");
    openAt(path).close();
    query(path, "UPDATE meta SET value = json_set(value, '$.bun', '1.0.1') WHERE name = 'maker'");
    openAt(path).close();
    query(path, "UPDATE meta SET value = json_set(value, '$.bun', '1.0.1') WHERE name = 'maker'");
    expect(() => openAt(path, { text: "other" })).toThrow(
      `has changed (made under Bun 1.0.1, and this is ${Bun.version}, which may print`,
    );
  });
});

describe("while it is open", () => {
  test("nothing waits that came after a pause; what follows at once is flushed together", () => {
    using folder = newFolder();
    const path = folder.at("a");
    using checkpoint = openAt(path, {}, { mounts: ALL_NFS });
    const inFile = () => Number(query(`${path}-copy`, "SELECT count(*) FROM results")[0]![0]);
    const copy = () => Bun.spawnSync(["cp", path, `${path}-copy`]);
    run(checkpoint, [1, 2, 3], double);
    copy();
    expect(inFile()).toBeGreaterThanOrEqual(1);
    checkpoint.flush();
    copy();
    expect(inFile()).toBe(3);
  });

  test("what waits is committed by a timer, for which the process need not stay", async () => {
    using folder = newFolder();
    const path = folder.at("a");
    using checkpoint = openAt(path, {}, { mounts: ALL_NFS });
    run(checkpoint, [1, 2, 3], double);
    const size = () => query(`${path}-copy`, "SELECT count(*) FROM results")[0]![0];
    do {
      await Bun.sleep(10);
      Bun.spawnSync(["cp", path, `${path}-copy`]);
    } while (size() !== 3);
  });

  test("two maps of one process are kept apart at once, until the first is closed", () => {
    using folder = newFolder();
    const path = folder.at("a");
    {
      using first = openAt(path);
      run(first, [1], double);
      const error = thrownBy(() => openAt(path));
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toContain(`another map of this process (pid ${process.pid}, host `);
      run(first, [1, 2], double);
    }
    using second = openAt(path);
    expect(second.count).toBe(2);
  });

  test("of any name, the holder is read from it", () => {
    using folder = newFolder();
    for (const name of [
      "a b",
      "100%",
      "a?b=c&d#e",
      "file:a",
      "%3f",
      "é\u{1f600}",
      "a'\"\\b",
      "\n",
      "a ",
      " a",
      "\ud800",
    ]) {
      using first = openAt(folder.at(name));
      expect(first.take(1, 0)).toBeNull();
      expect(() => openAt(folder.at(name))).toThrow(/another map of this process .* since \d{4}-/);
    }
    expect(new Set(readdirSync(folder.path)).size).toBe(11);
  });

  test("a file that is removed, moved or replaced is noticed, and the other is not touched", () => {
    using folder = newFolder();
    for (const [deed, text] of [
      [(path: string) => rmSync(path), "removed or moved"],
      [(path: string) => renameSync(path, `${path}-moved`), "removed or moved"],
      [
        (path: string) => {
          renameSync(path, `${path}-replaced`);
          openAt(path).close();
        },
        "another file took its place",
      ],
    ] as const) {
      const path = folder.at(Math.random().toString(36));
      const checkpoint = openAt(path);
      run(checkpoint, [1], double);
      deed(path);
      for (const i of [1, 2]) checkpoint.take(i, i);
      const error = thrownBy(() => {
        checkpoint.add(1, 1);
        checkpoint.flush();
      });
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error.message).toContain(text);
      // It was told: the rest is silence.
      checkpoint.add(2, 1);
      checkpoint.flush();
      checkpoint.close();
      if (text.startsWith("another")) {
        using other = openAt(path);
        expect(other.count).toBe(0);
      }
    }
  });

  /** A checkpoint of which results wait that cannot be committed any more. */
  function doomed(path: string, around: Surroundings = {}): Checkpoint {
    for (;;) {
      const checkpoint = openAt(path, {}, around);
      run(checkpoint, [1], double);
      checkpoint.flush();
      rmSync(path);
      checkpoint.take(2, 2);
      try {
        checkpoint.add(2, 2);
        return checkpoint;
      } catch {
        // So much time has passed that it was to be committed at once.
      }
    }
  }

  test("what a timer finds is told to the listener, once, and thrown to nobody then", async () => {
    using folder = newFolder();
    const { promise, resolve } = Promise.withResolvers<Error>();
    const told: Error[] = [];
    const failed = (error: Error) => {
      told.push(error);
      resolve(error);
    };
    using checkpoint = doomed(folder.at("a"), { failed });
    expect(await promise).toBeInstanceOf(CheckpointError);
    checkpoint.take(3, 3);
    checkpoint.add(3, 3);
    checkpoint.flush();
    checkpoint.close();
    expect(told.length).toBe(1);
  });

  test("what nobody was told is thrown by close", () => {
    using folder = newFolder();
    const checkpoint = doomed(folder.at("a"));
    expect(() => checkpoint.close()).toThrow("removed or moved while it was in use");
    checkpoint.close();
  });
});

describe("closed", () => {
  test("it is one plain file, and takes nothing more", () => {
    using folder = newFolder();
    for (const mounts of [undefined, ALL_NFS]) {
      const path = folder.at("a.sqlite");
      rmSync(path, { force: true });
      const checkpoint = openAt(path, {}, mounts === undefined ? {} : { mounts });
      run(checkpoint, [1, 2, 3], double);
      checkpoint.take(4, 3);
      checkpoint.close();
      checkpoint.close();
      expect(readdirSync(folder.path)).toEqual(["a.sqlite"]);
      checkpoint.add(3, "late");
      checkpoint.flush();
      expect(checkpoint.take(5, 5)).toBeNull();
      expect(query(path, "PRAGMA journal_mode")).toEqual([["delete"]]);
      expect(query(path, "SELECT count(*) FROM results")).toEqual([[3]]);
      expect(query(path, "SELECT name FROM meta")).toEqual([["maker"]]);
    }
  });

  test("the folder may have changed meanwhile", () => {
    using folder = newFolder();
    const before = process.cwd();
    mkdirSync(folder.at("in"));
    try {
      process.chdir(folder.at("in"));
      using checkpoint = openAt("a.sqlite");
      process.chdir("/");
      run(checkpoint, [1], double);
    } finally {
      process.chdir(before);
    }
    expect(readdirSync(folder.at("in"))).toEqual(["a.sqlite"]);
  });

  test("it can be read by the shell, with keys and items in clear", () => {
    using folder = newFolder();
    {
      using checkpoint = openAt(folder.at("a"));
      run(checkpoint, [{ lr: 0.5 }], double as never);
    }
    expect(query(folder.at("a"), "SELECT position, item FROM results")).toEqual([
      [0, "{ lr: 0.5 }"],
    ]);
  });
});

describe("network file systems", () => {
  const mounts = [
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
    "23 22 0:21 / /home rw - nfs4 server:/home rw",
    "24 23 8:2 / /home/me/scratch rw - xfs /dev/sdb1 rw",
    "25 22 0:22 / /lustre\\040two rw - lustre mgs:/two rw",
    "26 22 0:23 / /mnt/s rw - fuse.sshfs host:/ rw",
    "27 22 0:24 / /mnt/o rw - fuse.fuse-overlayfs overlay rw",
    "28 22 8:3 / /data rw - ext4 /dev/sdc1 rw",
    "29 28 0:25 / /data rw master:3 propagate_from:2 - beegfs beegfs_nodev rw",
    "30 22 0:26 / /run/user rw - tmpfs tmpfs rw",
    "not a line",
    "",
  ].join("\n");

  test.each([
    ["/", null],
    ["/nowhere/at/all", null],
    ["/home", "nfs4"],
    ["/home/me", "nfs4"],
    ["/homely", null],
    ["/home/me/scratch/x", null],
    ["/lustre two/x", "lustre"],
    ["/mnt/s", "fuse.sshfs"],
    ["/mnt/o", null],
    ["/data/x", "beegfs"],
    ["/run/user/0", null],
  ])("%s: %p", (folder, type) => {
    expect(networkFileSystem(folder, mounts)).toBe(type);
  });

  test("are not where the tests run, by either table", () => {
    using folder = newFolder();
    expect(networkFileSystem(folder.path)).toBeNull();
  });

  test("get a rollback journal, and one warning", () => {
    using folder = newFolder();
    const path = folder.at("a");
    const { write } = process.stderr;
    const said: string[] = [];
    process.stderr.write = ((text: string) => said.push(text) > 0) as typeof write;
    try {
      for (const item of [1, 2]) {
        using checkpoint = openAt({ path, accept: true }, {}, { mounts: ALL_NFS });
        run(checkpoint, [item, 3], double);
        expect(readdirSync(folder.path).filter((name) => !name.startsWith("a"))).toEqual([]);
        expect(readdirSync(folder.path)).not.toContain("a-wal");
      }
    } finally {
      process.stderr.write = write;
    }
    expect(said.length).toBe(1);
    expect(said[0]).toContain(`bsync: the checkpoint ${path} lies on nfs4, a network file system`);
  });

  test("take over a file whose log a killed run has left on a disk", () => {
    using folder = newFolder();
    const [path, killed] = [folder.at("a"), folder.at("killed")];
    using checkpoint = openAt(path);
    run(checkpoint, [1, 2], double);
    checkpoint.flush();
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(0);
    for (const end of ["", "-wal"]) {
      Bun.spawnSync(["cp", `${path}${end}`, `${killed}${end}`]);
    }
    {
      using other = openAt(killed, {}, { mounts: ALL_NFS });
      expect(other.count).toBe(2);
    }
    expect(readdirSync(folder.path).filter((name) => name.startsWith("killed"))).toEqual([
      "killed",
    ]);
  });
});

test("an empty file is a new one", () => {
  using folder = newFolder();
  writeFileSync(folder.at("a"), "");
  using checkpoint = openAt(folder.at("a"));
  expect(run(checkpoint, [1], double).computed).toEqual([0]);
});
