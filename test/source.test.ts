/**
 * The sources themselves: types, formatting, and who imports whom.
 */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
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
  const files = ["index.ts", "mpi.ts", ...new Bun.Glob("{src,c}/**/*.{ts,c,h}").scanSync(ROOT)];
  expect(files.length).toBeGreaterThan(100);
  const long: string[] = [];
  for (const file of files) {
    for (const [i, line] of readFileSync(join(ROOT, file), "utf8").split("\n").entries()) {
      // A regular expression has no place to break.
      const isPattern = /^\s*\/.*\/[a-z]*[;,]?$/.test(line);
      if ([...line].length > 100 && !isPattern) long.push(`${file}:${i + 1}`);
    }
  }
  expect(long).toEqual([]);
});

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

  test("of bun:ffi are found under src/mpi, and for the C library", () => {
    expect(
      importersOf("bun:ffi").filter(
        (file) => !file.startsWith("src/mpi/") && file !== "src/os/libc.ts",
      ),
    ).toEqual([]);
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
