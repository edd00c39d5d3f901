/**
 * The sources themselves: types, formatting, sizes, and who imports whom.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import ts from "typescript";
import * as natives from "../src/os/natives.ts";

const ROOT = join(import.meta.dir, "..");

/** Fails with what the command said. */
async function passes(...args: string[]): Promise<void> {
  await using child = Bun.spawn([process.execPath, ...args], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  if ((await child.exited) !== 0) throw new Error(`bun ${args.join(" ")}\n${stdout}${stderr}`);
}

test("the types check", () => passes("check", "--no-script"), 60_000);

test("the sources are formatted", () => passes("fmt", "--check", "--no-script"), 60_000);

test("no line is over 100 columns, comments included", () => {
  const files = [
    "index.ts",
    "mpi.ts",
    ...new Bun.Glob("{src,c}/**/*.{ts,c,h,js.txt,css.txt,html.txt}").scanSync(ROOT),
  ];
  expect(files.length).toBeGreaterThan(100);
  const long: string[] = [];
  for (const file of files) {
    for (const [i, line] of readFileSync(join(ROOT, file), "utf8").split("\n").entries()) {
      // A regular expression has no place to break.
      const isPattern = /^\s*\/(?![*/]).*\/[a-z]*[;,]?$/.test(line);
      if ([...line].length > 100 && !isPattern) long.push(`${file}:${i + 1}`);
    }
  }
  expect(long).toEqual([]);
});

describe("sizes", () => {
  /** Lines, comments included: of classes and functions from the head to the closing brace. */
  const MOST = { file: 400, class: 350, function: 60 };
  /** What may be larger, by `file` or `file: name`, each with the reason. */
  const EXCEPTIONS: Readonly<Record<string, string>> = {};
  const sources = ["index.ts", "mpi.ts", ...new Bun.Glob("src/**/*.ts").scanSync(ROOT)].sort();
  const files = [...sources, ...new Bun.Glob("c/**/*.{c,h}").scanSync(ROOT)];
  const parts = sources.flatMap((file) => partsOf(file, readFileSync(join(ROOT, file), "utf8")));

  const classes = parts.filter(({ isClass }) => isClass);
  const functions = parts.filter(({ isClass }) => !isClass);
  const large = [
    ...over(files.map(sizeOf), MOST.file),
    ...over(classes, MOST.class),
    ...over(functions, MOST.function),
  ];

  test("of files are at most 400 lines, of classes 350, of functions 60", () => {
    expect([files.length, classes.length, functions.length].every((n) => n > 50)).toBeTrue();
    const unexplained = large.filter(({ name }) => !Object.hasOwn(EXCEPTIONS, name));
    expect(unexplained.map(({ name, lines }) => `${name}: ${lines} lines`)).toEqual([]);
  });

  test("have no exception that nothing needs", () => {
    const names = large.map(({ name }) => name);
    expect(Object.keys(EXCEPTIONS).filter((name) => !names.includes(name))).toEqual([]);
  });

  test("are measured: the lines of a class, of its methods and of functions in functions", () => {
    const source = [
      "/** A comment above is not part of it. */",
      "class A {",
      "  /** Nor this of the method. */",
      "  a() {",
      "    return () => {",
      "      // a comment inside is",
      "    };",
      "  }",
      "}",
      "const b = function () {};",
      "declare function c(): void;",
    ];
    expect(partsOf("x.ts", source.join("\n"))).toEqual([
      { name: "x.ts: A", isClass: true, lines: 8 },
      { name: "x.ts: a", isClass: false, lines: 5 },
      { name: "x.ts: (line 5)", isClass: false, lines: 3 },
      { name: "x.ts: (line 10)", isClass: false, lines: 1 },
    ]);
  });

  function over<T extends Size>(sizes: readonly T[], most: number): T[] {
    return sizes.filter(({ lines }) => lines > most);
  }

  function sizeOf(name: string): Size {
    const text = readFileSync(join(ROOT, name), "utf8");
    return { name, lines: text.trimEnd().split("\n").length };
  }
});

interface Size {
  /** A file; of a part of one also its own name, or its line where it has none. */
  readonly name: string;
  readonly lines: number;
}

interface Part extends Size {
  readonly isClass: boolean;
}

/** The classes and functions of a source, those in others too. */
function partsOf(file: string, text: string): Part[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const lineAt = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const parts: Part[] = [];
  const visit = (node: ts.Node): void => {
    const isClass = ts.isClassLike(node);
    const hasBody = ts.isFunctionLike(node) && "body" in node && node.body !== undefined;
    if (isClass || hasBody) {
      const start = lineAt(node.getStart(source));
      const own = (node as ts.NamedDeclaration).name?.getText(source) ?? `(line ${start})`;
      parts.push({ name: `${file}: ${own}`, isClass, lines: lineAt(node.getEnd()) - start + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return parts;
}

/**
 * The rooms of the source, the lowest first, and the rooms that each imports. A new arrow is a
 * decision: docs/design says what each room never does.
 */
const ROOMS: Readonly<Record<string, string>> = {
  "src/os": "",
  "src/errors.ts": "src/os",
  "src/collections": "",
  "src/codec": "src/errors.ts src/os",
  "src/checkpoint": "src/codec src/errors.ts src/os",
  "src/function": "src/codec src/collections src/errors.ts src/os",
  "src/wire": "src/codec src/errors.ts src/function src/os",
  "src/share": "src/codec src/errors.ts src/function src/os src/wire",
  "src/scheduler": "src/codec src/collections src/function src/os src/wire",
  "src/watch/page": "",
  "src/watch":
    "src/codec src/collections src/errors.ts src/os src/scheduler src/watch/page src/wire",
  "src/handle.ts": "src/codec src/errors.ts src/os src/scheduler src/watch",
  "src/mpi/launcher": "src/errors.ts src/os",
  "src/mpi/shim": "src/errors.ts src/mpi/launcher src/os",
  "src/mpi": "src/errors.ts src/mpi/launcher src/mpi/shim src/os",
  "src/link": "src/os src/wire",
  "src/link/local": "src/errors.ts src/function src/link src/mpi/launcher src/os src/wire",
  "src/link/mpi":
    "src/codec src/collections src/errors.ts src/link src/link/local src/mpi src/os src/wire",
  "src/job": "src/errors.ts src/link src/link/mpi src/mpi src/mpi/launcher src/os src/wire",
  "src/option-rules.ts": "src/errors.ts",
  "src/call-options.ts": "src/errors.ts src/option-rules.ts src/scheduler",
  "src/options.ts":
    "src/call-options.ts src/job src/option-rules.ts src/os src/scheduler src/watch",
  "src/worker-list.ts": "src/errors.ts",
  "src/backend":
    "src/errors.ts src/function src/job src/link src/link/local src/link/mpi src/os src/wire " +
    "src/worker-list.ts",
  "src/controller":
    "src/backend src/codec src/collections src/errors.ts src/function src/handle.ts src/link " +
    "src/link/local src/options.ts src/os src/scheduler src/share src/watch src/wire",
  "src/gather":
    "src/codec src/collections src/controller src/errors.ts src/handle.ts src/os src/scheduler " +
    "src/watch",
  "src/worker-info.ts": "src/controller src/os src/watch",
  "src/map":
    "src/checkpoint src/codec src/collections src/errors.ts src/function src/options.ts src/os " +
    "src/scheduler src/watch",
  "src/pool-calls.ts": "src/codec src/handle.ts src/map src/options.ts src/os src/scheduler",
  "src/task-pool.ts":
    "src/codec src/gather src/handle.ts src/options.ts src/os src/pool-calls.ts src/scheduler",
  "src/context.ts": "src/errors.ts src/task-pool.ts",
  "src/nested":
    "src/codec src/context.ts src/controller src/errors.ts src/function src/handle.ts src/map " +
    "src/options.ts src/os src/scheduler src/task-pool.ts src/watch src/wire",
  "src/worker":
    "src/codec src/collections src/context.ts src/errors.ts src/function src/job src/link " +
    "src/link/local src/link/mpi src/nested src/os src/share src/task-pool.ts src/wire",
  "src/open":
    "src/backend src/controller src/errors.ts src/function src/job src/options.ts src/os " +
    "src/scheduler src/watch src/wire src/worker src/worker-list.ts",
  "src/open.ts":
    "src/context.ts src/errors.ts src/function src/job src/mpi/launcher src/open src/options.ts " +
    "src/os src/worker src/worker-list.ts",
  "src/watched-pool.ts":
    "src/controller src/open src/os src/pool-calls.ts src/watch src/worker-info.ts",
  "src/pool.ts":
    "src/codec src/context.ts src/controller src/errors.ts src/function src/gather src/handle.ts " +
    "src/map src/open " +
    "src/open.ts src/options.ts src/os src/pool-calls.ts src/scheduler src/share src/watch " +
    "src/watched-pool.ts src/worker-info.ts src/worker-list.ts",
  "src/comm":
    "src/codec src/context.ts src/errors.ts src/function src/job src/link src/mpi src/mpi/shim src/os",
  "src/cli":
    "src/collections src/context.ts src/errors.ts src/job src/link/local src/mpi src/mpi/launcher " +
    "src/mpi/shim src/os src/pool.ts src/watch",
  "index.ts":
    "src/checkpoint src/context.ts src/errors.ts src/function src/gather src/handle.ts src/job " +
    "src/map src/open src/options.ts src/pool-calls.ts src/pool.ts src/scheduler src/share src/watch " +
    "src/worker-info.ts src/worker-list.ts",
  "mpi.ts": "src/comm src/errors.ts",
};

/** A folder with what lies flat in it, or a file that lies flat in `src`. */
function roomOf(file: string): string {
  if (file.startsWith("src/cli/")) return "src/cli";
  const folder = dirname(file);
  return folder === "src" || folder === "." ? file : folder;
}

describe("imports", () => {
  /** What each file of index.ts, mpi.ts and src imports: paths from the root, or names of packages. */
  const imports = new Map<string, string[]>();
  for (const file of [
    "index.ts",
    "mpi.ts",
    ...new Bun.Glob("src/**/*.{ts,tsx}").scanSync(ROOT),
  ].sort()) {
    imports.set(file, importsOf(file));
  }

  test("there is something to check", () => {
    expect(imports.get("index.ts")?.length).toBeGreaterThan(0);
    expect(imports.size).toBeGreaterThan(10);
  });

  test("go in no circle", () => {
    expect(circles(imports)).toEqual([]);
  });

  test("lead from each room to those that it may know, all of which are there", () => {
    const found = new Map<string, Set<string>>();
    for (const [file, names] of imports) {
      const room = roomOf(file);
      const rooms = found.get(room) ?? new Set();
      found.set(room, rooms);
      for (const name of names) {
        if (name.startsWith("src/") && roomOf(name) !== room) rooms.add(roomOf(name));
      }
    }
    const isSorted = ([a]: [string, unknown], [b]: [string, unknown]) => (a < b ? -1 : 1);
    const shown = (rooms: Iterable<[string, Iterable<string>]>) =>
      [...rooms].sort(isSorted).map(([room, others]) => `${room}: ${[...others].sort().join(" ")}`);
    expect(shown(found)).toEqual(shown(Object.entries(ROOMS).map(([a, b]) => [a, b.split(" ")])));
  });

  test("lead down: the table names each room after those that it imports", () => {
    const rooms = Object.keys(ROOMS);
    for (const [i, room] of rooms.entries()) {
      const below = rooms.slice(0, i);
      const others = ROOMS[room]!.split(" ").filter((name) => name !== "");
      expect(others.filter((name) => !below.includes(name))).toEqual([]);
    }
  });

  test("of bun:ffi are found under src/mpi, and for the C library", () => {
    expect(
      importersOf("bun:ffi").filter(
        (file) => !file.startsWith("src/mpi/") && file !== "src/os/libc.ts",
      ),
    ).toEqual([]);
  });

  test("of bun:sqlite are found under src/checkpoint, and for the archive of a farm", () => {
    const importers = importersOf("bun:sqlite");
    expect(importers.length).toBeGreaterThan(0);
    const others = importers.filter((file) => !file.startsWith("src/checkpoint/"));
    expect(others).toEqual(["src/cli/multi/archive.ts"]);
  });

  test("of cbor-x are found under src/codec only", () => {
    expect(importersOf("cbor-x").filter((file) => !file.startsWith("src/codec/"))).toEqual([]);
  });

  test("of the command are found in the command only", () => {
    const commands = [...imports.keys()].filter((file) => file.startsWith("src/cli/"));
    expect(commands.length).toBeGreaterThan(0);
    const importers = commands.flatMap(importersOf).filter((file) => !commands.includes(file));
    expect(importers).toEqual([]);
  });

  function importersOf(name: string): string[] {
    return [...imports].filter(([, names]) => names.includes(name)).map(([file]) => file);
  }
});

test("the includes of c go in no circle: a source and its header are one file", () => {
  const includes = new Map<string, string[]>();
  const stem = (file: string) => file.replace(/\.[ch]$/, "");
  for (const file of new Bun.Glob("c/*.{c,h}").scanSync(ROOT)) {
    const source = readFileSync(join(ROOT, file), "utf8");
    const names = Array.from(source.matchAll(/^#include "(.+)"$/gm), ([, name]) => `c/${name!}`);
    const known = includes.get(stem(file)) ?? [];
    includes.set(stem(file), [...known, ...names.map(stem).filter((name) => name !== stem(file))]);
  }
  expect(includes.get("c/bsync_start")).toContain("c/bsync_mpi");
  expect(circles(includes)).toEqual([]);
});

describe("globals that a program may replace", () => {
  const names = Object.keys(natives).filter((name) => name in globalThis);
  const sources = [...new Bun.Glob("src/**/*.ts").scanSync(ROOT)].filter(
    (file) => !file.startsWith("src/cli/") && file !== "src/os/natives.ts",
  );

  test("are those that bsync was loaded with, wherever it uses them", () => {
    expect(names.length).toBeGreaterThan(8);
    expect(sources.flatMap((file) => globalsIn(file, names))).toEqual([]);
  });

  test("are so where they are functions of process", () => {
    const uses =
      /(?<![#.\w])process\.(kill|nextTick|on|off|once|emit|exit|prepend\w+|remove\w+|hrtime|uptime)\(/g;
    const found = sources
      .filter((file) => file !== "src/os/processes.ts")
      .flatMap((file) => [...codeOf(file).matchAll(uses)].map(([use]) => `${file}: ${use}`));
    expect(found).toEqual([]);
  });
});

/** Without comments and texts. */
function codeOf(file: string): string {
  const source = readFileSync(join(ROOT, file), "utf8");
  return source.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$|`[^`]*`|"[^"\n]*"/gm, "");
}

/** Uses of globals of these names in a file that does not import them. */
function globalsIn(file: string, names: readonly string[]): string[] {
  const source = readFileSync(join(ROOT, file), "utf8");
  const imported = /^import \{([^}]*)\} from "[^"]*natives\.ts";/m.exec(source)?.[1] ?? "";
  const code = codeOf(file);
  return names
    .filter((name) => !imported.split(/\W+/).includes(name))
    .filter((name) => new RegExp(`(?<![.\\w])${name}(?=[.(]|\\()|new ${name}\\b`).test(code))
    .map((name) => `${file}: ${name}`);
}

test("a circle of imports would be found", () => {
  const graph = new Map([
    ["a", ["b", "node:fs"]],
    ["b", ["c", "d"]],
    ["c", ["a"]],
    ["d", []],
  ]);
  expect(circles(graph)).toEqual(["a > b > c > a"]);
});

/**
 * Type imports too, which the transpiler forgets: they make circles of ideas just as well. The
 * formatter sees to it that every statement looks like this.
 */
function importsOf(file: string): string[] {
  const source = readFileSync(join(ROOT, file), "utf8");
  const statements =
    /^(?:import|export)\b(?:[^;"=(]*? from)? "([^"]+)"|\bimport\("([^"]+)"\)|\brequire\("([^"]+)"\)/gm;
  return Array.from(source.matchAll(statements), ([, ...found]) => {
    const name = found.find((text) => text !== undefined) ?? "";
    return name.startsWith(".") ? relative(ROOT, join(ROOT, dirname(file), name)) : name;
  });
}

/** Every circle that a walk in depth closes, as a line to read. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    const seen = path.indexOf(file);
    if (seen >= 0) found.push([...path.slice(seen), file].join(" > "));
    if (seen >= 0 || done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return found;
}

describe("documents", () => {
  const documents = [
    ...["README.md", "CONTRIBUTING.md", "examples/README.md"],
    ...new Bun.Glob("docs/**/*.md").scanSync(ROOT),
  ].sort();
  const textOf = (file: string) => readFileSync(join(ROOT, file), "utf8");
  /** Without blocks of code, whose lines mean nothing of what they look like. */
  const proseOf = (file: string) => textOf(file).replaceAll(/^ *(```+)[^]*?^ *\1$/gm, "");

  test("the README is read in ten minutes: 14,000 bytes at most", () => {
    expect(Buffer.byteLength(textOf("README.md"))).toBeLessThanOrEqual(14_000);
  });

  test("no row of a table is over 120 columns, so that a terminal shows it", () => {
    expect(documents.length).toBeGreaterThan(5);
    const long = documents.flatMap((file) =>
      proseOf(file)
        .split("\n")
        .filter((line) => /^ *\|/.test(line) && [...line].length > 120)
        .map((line) => `${file}: ${line.slice(0, 60)}`),
    );
    expect(long).toEqual([]);
  });

  test("relative links lead to files, and to headings, that are there", () => {
    const broken: string[] = [];
    let count = 0;
    for (const file of documents) {
      for (const [, target] of proseOf(file).matchAll(/\]\(([^()\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        count++;
        const [path, fragment] = target!.split("#");
        const led = path === "" ? file : join(dirname(file), path!);
        const isThere =
          existsSync(join(ROOT, led)) &&
          (fragment === undefined || anchorsOf(proseOf(led)).includes(fragment));
        if (!isThere) broken.push(`${file}: ${target}`);
      }
    }
    expect(count).toBeGreaterThan(50);
    expect(broken).toEqual([]);
  });

  /** What the headings of a document are linked by, as git hosts make it of their texts. */
  function anchorsOf(prose: string): string[] {
    const seen = new Map<string, number>();
    return Array.from(prose.matchAll(/^#+ +(.+)$/gm), ([, heading]) => {
      const words = heading!.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
      const anchor = words.replaceAll(/[^\p{L}\p{N}\p{M}_ -]/gu, "").replaceAll(" ", "-");
      const before = seen.get(anchor) ?? 0;
      seen.set(anchor, before + 1);
      return before === 0 ? anchor : `${anchor}-${before}`;
    });
  }
});
