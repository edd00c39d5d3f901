/**
 * Programs as users have them: how their modules are laid out, written, built and started. What a call gives on a
 * worker is what the same call gives in the program itself: each prints pairs, by `here and there`.
 */

import { drawShare } from "../lane.ts";

/** A program: its files, and how it is started. */
export interface Program {
  /** Texts by path; `*.link` is a symbolic link to what it says. */
  readonly files: Readonly<Record<string, string>>;
  /** Commands that make the program of the files; of Bun each. */
  readonly before?: readonly (readonly string[])[];
  /** What is started, in the folder of the files: flags of Bun and the script. */
  readonly start?: readonly string[];
  /** Files that are moved away before it is started. */
  readonly gone?: readonly string[];
  /** What it prints. */
  readonly prints: readonly string[];
}

/** A job whose calls are told by name; `top` is what stands at its top level. */
function job(
  top: string,
  calls: readonly string[],
  head = 'import { AsyncPool } from "bsync";',
): string {
  return `${head}
${top}
const told = (value: unknown) => value instanceof Error ? \`\${value.name}: \${value.message}\` : JSON.stringify(value);
await using pool = await AsyncPool.open(1, { isolate: process.env.ISOLATED === "1" });
${calls.map((call) => `console.log(told(await pool.async(${call}).get().catch((error) => error)));`).join("\n")}
`;
}

const REGISTRY = `export const registry = new Map<string, (x: number) => number>();
export class Shape {}
export let count = 0;
export function bump() { return ++count; }
`;

/** Names of folders that a runtime, a stack or a shell may take for something else. */
const FOLDERS = ["12:30", "a b", "a#b", "50%25", "ü", "a'b", "(x)", "[y]", "$z", "file:", "@v1"];

const folders = Object.fromEntries(
  drawShare(FOLDERS, 0).map((folder): [string, Program] => [
    `a folder named ${folder}`,
    {
      files: {
        [`${folder}/helper.ts`]:
          "export const OFFSET = 5;\nexport function helper(x: number) { return x + OFFSET; }\n",
        [`${folder}/job.ts`]: job(
          'import { helper } from "./helper.ts";\nfunction top(x: number) { return helper(x) * 2; }',
          ["top, 1", "(x: number) => helper(x) * 3, 1", '"top", 2', "helper, 3"],
        ),
      },
      start: [`${folder}/job.ts`],
      prints: ["12", "18", "14", "8"],
    },
  ]),
);

const MAPS = ["linked", "inline", "external", "none"];

const bundles = Object.fromEntries(
  drawShare(
    MAPS.flatMap((map) => [false, true].map((minify) => ({ map, minify }))),
    1,
  ).map(({ map, minify }): [string, Program] => [
    `a bundle with a source map: ${map}${minify ? ", minified" : ""}`,
    {
      files: {
        "src/job.ts": job(
          'import { add } from "./add.ts";\nfunction top(x: number) { return add(x, 1); }',
          ["top, 1", "(x: number) => top(x) + add(1, 1), 1", "add, 2, 3"],
        ),
        "src/add.ts": "export function add(a: number, b: number) { return a + b; }\n",
      },
      before: [
        [
          "build",
          "--target=bun",
          `--sourcemap=${map}`,
          ...(minify ? ["--minify"] : []),
          "src/job.ts",
          "--outdir=out",
        ],
      ],
      start: ["out/job.js"],
      ...(minify ? { gone: ["src"] } : {}),
      prints: ["2", "4", "5"],
    },
  ]),
);

const COMMON_JS = (tail: string) => `const path = require("node:path");
const { AsyncPool } = require("bsync");
const K = 3;
function base(p) { return path.basename(p) + K; }
async function main() {
  const pool = await AsyncPool.open(1, { isolate: process.env.ISOLATED === "1" });
  console.log(JSON.stringify(await pool.async(base, "/a/b")));
  console.log(JSON.stringify(await pool.async((p) => path.basename(p) + K, "/a/c")));
  console.log(JSON.stringify(await pool.async("base", "/a/d")));
  console.log(JSON.stringify(await pool.async(() => typeof (function () { return this; })())));
  await pool.close();
}
if (require.main === module) main();
${tail}`;

const commonJs = Object.fromEntries(
  drawShare(
    [
      ["job.cjs", ""],
      ["job.js", ""],
      ["exports.js", "module.exports = { base };"],
      ["comment.js", "// import x from 'y';\nconst text = `\nimport z from 'z';\n`;"],
      ["last.js", "exports.base = base; // the end"],
    ],
    2,
  ).map(([name, tail]): [string, Program] => [
    `a CommonJS script: ${name}`,
    {
      files: { "package.json": "{}", [name!]: COMMON_JS(tail!) },
      start: [name!],
      prints: ['"b3"', '"c3"', '"d3"', '"object"'],
    },
  ]),
);

export const PROGRAMS: Readonly<Record<string, Program>> = {
  "one instance, however it is imported": {
    files: {
      "registry.ts": REGISTRY,
      "plugins/double.ts":
        'import { registry } from "../registry.ts"; registry.set("double", (x) => 2 * x);\n',
      "lib.ts": `import { createRequire } from "node:module";
import { registry, Shape } from "./registry.ts";
export async function use(plugin: string, x: number) {
  await import(\`./plugins/\${plugin}.ts\`);
  return registry.get(plugin)?.(x) ?? "no such plugin";
}
export function same() {
  const required = [require, import.meta.require, createRequire(import.meta.url)];
  return required.map((require) => new Shape() instanceof require("./registry.ts").Shape);
}
`,
      "job.ts": job(
        `import { bump } from "./registry.ts";
import { same, use } from "./lib.ts";
async function lazily() { bump(); return (await import("./registry.ts")).count; }
async function again() { bump(); return (await import(new URL("./registry.ts", import.meta.url).href)).count; }`,
        ['use, "double", 4', "same", "lazily", "again"],
      ),
    },
    prints: ["8", "[true,true,true]", "1", "2"],
  },
  "a circle of modules with the main script in it": {
    files: {
      "part.ts": `import { base } from "./job.ts";
export function part(x: number) { return base() + x; }
`,
      "job.ts": job(
        'import { part } from "./part.ts";\nexport function base() { return 10; }\nfunction top(x: number) { return part(x); }',
        ["part, 1", "top, 2"],
      ),
    },
    prints: ["11", "12"],
  },
  "a module that the main script imports opens the pool": {
    files: {
      "main.ts": 'import "./job.ts";\n',
      "job.ts": job("const K = 4;\nfunction work(x: number) { return x + K; }", [
        "work, 1",
        "(x: number) => work(x) * 2, 1",
        '"Math.max", 1, 2',
      ]),
    },
    start: ["main.ts"],
    prints: ["5", "10", "2"],
  },
  "attributes: a module's own text, a file's path, data": {
    files: {
      "note.ts": "export const a = 1;\n",
      "other.ts": "export const b = 2;\n",
      "data.json": '{ "n": 4 }\n',
      "macro.ts": 'export function made() { return "at build"; }\n',
      "job.ts": job(
        `import text from "./note.ts" with { type: "text" };
import { a } from "./note.ts";
import file from './other.ts' with { type: 'file' };
import data from "./data.json" with { type: "json" };
import { made } from "./macro.ts" with { type: "macro" };
function top() { return [text, a, file.split("/").at(-1), data.n]; }
async function lazily() { return (await import("./note.ts", { with: { type: "text" } })).default; }
const built = made();`,
        ["top", "() => built", "lazily"],
      ),
    },
    prints: ['["export const a = 1;\\n",1,"other.ts",4]', '"at build"', '"export const a = 1;\\n"'],
  },
  "a plugin of the program's for modules it calls": {
    files: {
      "bunfig.toml": 'preload = ["./transform.ts"]\n',
      "transform.ts": `Bun.plugin({
  name: "version",
  setup(build) {
    build.onLoad({ filter: /calc\\.ts$/ }, async ({ path }) => ({
      contents: (await Bun.file(path).text()).replaceAll("__VERSION__", '"1.2.3"'),
      loader: "ts",
    }));
    build.onLoad({ filter: /\\.greet$/ }, async ({ path }) => ({
      contents: \`export const greet = (name) => "\${(await Bun.file(path).text()).trim()}, " + name;\`,
      loader: "js",
    }));
    build.module("virtual:settings", () => ({ exports: { depth: 7 }, loader: "object" }));
  },
});
`,
      "calc.ts": 'export function version() { return "v" + __VERSION__; }\n',
      "hello.greet": "Hello\n",
      "job.ts": job(
        `import { version } from "./calc.ts";
import { greet } from "./hello.greet";
import { depth } from "virtual:settings";
function top() { return [version(), greet("you"), depth]; }`,
        ["version", "top", '() => version() + "!"'],
      ),
    },
    prints: ['"v1.2.3"', '["v1.2.3","Hello, you",7]', '"v1.2.3!"'],
  },
  "a package that calls functions of its own": {
    files: {
      "node_modules/tool/package.json":
        '{ "name": "tool", "type": "module", "main": "index.js", "bin": "cli.js", "dependencies": { "bsync": "*" } }',
      "node_modules/tool/index.js": `import { AsyncPool } from "bsync";
import { suffix } from "./suffix.js";
const K = 3;
function work(x) { return x + K + suffix; }
export async function all() {
  await using pool = await AsyncPool.open(1, { isolate: process.env.ISOLATED === "1" });
  return [await pool.async(work, "a"), await pool.async((x) => work(x) + K, "b")];
}
`,
      "node_modules/tool/suffix.js": 'export const suffix = "!";\n',
      "node_modules/tool/cli.js":
        '#!/usr/bin/env bun\nimport { all } from "./index.js";\nconsole.log(JSON.stringify(await all()));\n',
      "job.ts": 'import { all } from "tool";\nconsole.log(JSON.stringify(await all()));\n',
    },
    prints: ['["a3!","b3!3"]'],
  },
  "a command of a package": {
    files: {
      "node_modules/@scope/tool/package.json": '{ "name": "@scope/tool", "type": "module" }',
      "node_modules/@scope/tool/cli": `#!/usr/bin/env bun
import { AsyncPool } from "bsync";
const K: number = 3;
function work(x: string) { return x + K; }
await using pool = await AsyncPool.open(1, { isolate: process.env.ISOLATED === "1" });
console.log(JSON.stringify([await pool.async(work, "a"), await pool.async((x: string) => work(x), "b")]));
`,
    },
    start: ["node_modules/@scope/tool/cli"],
    prints: ['["a3","b3"]'],
  },
  "a package of the same repository": {
    files: {
      "packages/math/index.ts": "export const K = 4;\nexport const scale = (x: number) => x * K;\n",
      "packages/math/package.json": '{ "name": "math", "main": "index.ts" }',
      "node_modules/math.link": "../packages/math",
      "job.ts": job('import { scale } from "math";', [
        "scale, 2",
        "(x: number) => scale(x) + 1, 2",
      ]),
    },
    prints: ["8", "9"],
  },
  "texts that look like code, and names that bsync might use": {
    files: {
      "job.ts": job(
        `const Symbol = 1, JSON_ = 2, globalThis = { a: 3 }, Promise_ = 4;
const help = 'import x from "./job.ts"; export { import.meta }';
function top() { return [help, Symbol, JSON_, globalThis.a, Promise_]; }`,
        ["top", '() => "see import.meta.dir, or process.env.A"', "() => /import.meta/.test(help)"],
      ),
    },
    prints: [
      '["import x from \\"./job.ts\\"; export { import.meta }",1,2,3,4]',
      '"see import.meta.dir, or process.env.A"',
      "true",
    ],
  },
  "functions that others have made": {
    files: {
      "memo.ts":
        "export const memo = (fn: (x: number) => number) => { const seen = new Map<number, number>(); return (x: number) => seen.get(x) ?? (seen.set(x, fn(x)), fn(x)); };\n",
      "job.ts": job(
        `import { memo } from "./memo.ts";
function named(fn: (x: number) => number) { return function wrapped(x: number) { return fn(x) + 1; }; }
export const square = memo((x) => x * x);
const cube = memo((x) => x ** 3), fourth = memo((x) => x ** 4);
const { more } = { more: named((x) => x * 10) };`,
        ["square, 3", "cube, 3", "fourth, 2", "more, 1", '"square", 4'],
      ),
    },
    prints: ["9", "27", "16", "11", "16"],
  },
  "functions of one text, of which each is itself or refused": {
    files: {
      "job.ts": job(
        `const make = (k: number) => (x: number) => x + k;
const one = make(1), two = make(2), ops = { one, two };
let step = make(1);
step = make(50);`,
        [
          "one, 0",
          "two, 0",
          "ops.two, 0",
          "make(1000), 0",
          "one, 0), pool.async(true && two, 0",
          "step, 0",
        ],
      ).replaceAll("error) => error)", "error) => error.name)"),
    },
    // A function that was called by its name before is known.
    prints: ["1", "2", "2", '"FunctionError"', "1", '"FunctionError"'],
  },
  "exported functions that others have made, called in a loop": {
    files: {
      "one.ts":
        "const make = (k: number) => (x: number) => x + k;\nexport const f = make(1), g = make(2);\n",
      "two.ts":
        "const make = (k: number) => (x: number) => x + k;\nexport const f = make(3);\nexport default make(4);\n",
      "job.ts": job(
        `import * as one from "./one.ts";
import * as two from "./two.ts";
const make = (k: number) => (x: number) => x + k;
export const mine = make(5);
const all = [one.f, one.g, two.f, two.default, mine];`,
        ["all[0]!, 0", "all[1]!, 0", "all[2]!, 0", "all[3]!, 0", "all[4]!, 0"],
      ),
    },
    prints: ["1", "2", "3", "4", "5"],
  },
  "the main script sets up what the others need": {
    files: {
      "polyfill.ts": "(globalThis as { FLAG?: number }).FLAG = 5;\n",
      "lib.ts":
        "const F = (globalThis as { FLAG?: number }).FLAG!;\nexport const f = (x: number) => x + F;\n",
      "job.ts": job('import "./polyfill.ts";\nimport { f } from "./lib.ts";', ["f, 1"]),
    },
    prints: ["6"],
  },
  "an application whose library opens the pool is not run again": {
    files: {
      "lib.ts": `import { AsyncPool } from "bsync";
const K = 7;
function work(x: number) { return x + K; }
export async function compute(x: number) {
  await using pool = await AsyncPool.open(1, { isolate: process.env.ISOLATED === "1" });
  return await pool.async(work, x);
}
`,
      "app.ts":
        'import { compute } from "./lib.ts";\nimport { appendFileSync, readFileSync } from "node:fs";\nappendFileSync("starts", "x");\nconst result = await compute(1);\nconsole.log(JSON.stringify([result, readFileSync("starts", "utf8").length <= Number(process.env.OMPI_COMM_WORLD_SIZE ?? process.env.PMI_SIZE ?? 1)]));\n',
    },
    start: ["app.ts"],
    prints: ["[8,true]"],
  },
  "a plugin of the program's that gives the text of the main script": {
    files: {
      "bunfig.toml": 'preload = ["./transform.ts"]\n',
      "transform.ts": `Bun.plugin({
  name: "value",
  setup(build) {
    build.onLoad({ filter: /job\\.ts$/ }, async ({ path }) => ({
      contents: (await Bun.file(path).text()).replaceAll("__VALUE__", "9"),
      loader: "ts",
    }));
    build.onLoad({ filter: /\\.greet$/ }, async ({ path }) => ({
      contents: \`export const greet = (name) => "\${(await Bun.file(path).text()).trim()}, " + name;\`,
      loader: "js",
    }));
  },
});
`,
      "hello.greet": "Hello\n",
      "job.ts": job(
        `import { greet } from "./hello.greet";
export function value(x: number) { return x + __VALUE__; }`,
        ["value, 1", "(x: number) => value(x) * 2, 1", 'greet, "you"'],
      ),
    },
    prints: ["10", "20", '"Hello, you"'],
  },
  "a CommonJS package that calls functions of its own": {
    files: {
      "node_modules/old/package.json": '{ "name": "old" }',
      "node_modules/old/index.js": `const K = 3;
function own(x) { return x + K; }
exports.pub = (x) => own(x);
exports.call = (pool, x) => pool.async(own, x);
exports.inline = (pool, x) => pool.async((y) => own(y) + K, x);
`,
      "job.ts": job('import old from "old";', ["old.pub, 1"]).replace(
        "\nconsole",
        "\nconsole.log(told([await old.call(pool, 1), await old.inline(pool, 1)]));\nconsole",
      ),
    },
    prints: ["[4,7]", "4"],
  },
  "texts that use imports which nothing else uses": {
    files: {
      "lib.ts": `export interface Shape { a: number }
export default function whole() { return 1; }
export const part = (x: number) => x + 1;
`,
      "job.ts": job(
        'import whole, { part as piece, type Shape } from "./lib.ts";\nimport * as lib from "./lib.ts";',
        [
          '"(x) => piece(x) + whole()", 1',
          '"piece", 1',
          '"() => Object.keys(lib)"',
          '"lib.part", 2',
        ],
      ),
    },
    prints: ["3", "2", '["default","part"]', "3"],
  },
  "import.meta is the module's own": {
    files: {
      "lib/where.ts":
        "export const where = () => [import.meta.file, import.meta.main, import.meta.dir.split('/').at(-1), import.meta.url.endsWith('/lib/where.ts')];\n",
      "job.ts": job(
        'import { where } from "./lib/where.ts";\nfunction here() { return [import.meta.file, import.meta.main, import.meta.path === Bun.main, process.argv[1] === Bun.main]; }',
        ["where", "here", "() => import.meta.url.endsWith('/job.ts')"],
      ),
    },
    prints: ['["where.ts",false,"lib",true]', '["job.ts",false,true,true]', "true"],
  },
  "settings of the compiler: paths, JSX, decorators": {
    files: {
      "tsconfig.json": `{
  "compilerOptions": {
    "paths": { "~/*": ["./deep/*"] },
    "jsx": "react", "jsxFactory": "make", "experimentalDecorators": true
  }
}`,
      "deep/value.ts": "export const value = 6;\n",
      "job.tsx": job(
        `import { value } from "~/value";
const make = (tag: string, _: unknown, ...inside: unknown[]) => [tag, ...inside];
function page() { return <p>don't {value}</p>; }
function twice(target: object, key: string, found: PropertyDescriptor) { const { value } = found; found.value = () => value() * 2; }
class Thing { @twice size() { return 4; } }`,
        ["page", "() => new Thing().size()"],
      ),
    },
    start: ["job.tsx"],
    prints: ['["p","don\'t ",6]', "8"],
  },
  "a bundle in parts": {
    files: {
      "state.ts": "export let calls = 0;\nexport function bump() { return ++calls; }\n",
      "job.ts": job(
        'import { bump } from "./state.ts";\nasync function count() { bump(); return (await import("./state.ts")).calls; }',
        ["count", "() => bump()"],
      ),
    },
    before: [["build", "--target=bun", "--splitting", "job.ts", "--outdir=out"]],
    start: ["out/job.js"],
    prints: ["1", "2"],
  },
  "code generation is forbidden: exports and tasks": {
    files: {
      "lib.ts": "export const twice = (x: number) => 2 * x;\n",
      "job.ts": job(
        'import { task } from "bsync";\nimport { twice } from "./lib.ts";\nconst triple = task("triple", (x: number) => 3 * x);',
        ["twice, 2", "triple, 2"],
      ),
    },
    start: ["--disallow-code-generation-from-strings=strict", "job.ts"],
    prints: ["4", "6"],
  },
  "a program that is given on the command line": {
    files: { "lib.ts": "export const twice = (x: number) => 2 * x;\n" },
    start: [
      "-e",
      job(
        'import { twice } from "./lib.ts";\nconst K: number = 3;\nfunction top(x: number) { return twice(x) + K; }',
        ["top, 1", "(x: number) => x + K, 1", '"top", 2'],
      ),
    ],
    prints: ["5", "4", "7"],
  },
  "a preload that sets up a module": {
    files: {
      "bunfig.toml": 'preload = "./first.ts"\n',
      "first.ts": 'import { settings } from "./settings.ts"; settings.depth++;\n',
      "second.ts": 'import { settings } from "./settings.ts"; settings.depth += 10;\n',
      "settings.ts": "export const settings = { depth: 0 };\n",
      "job.ts": job('import { settings } from "./settings.ts";', ["() => settings.depth"]),
    },
    start: ["--preload=./second.ts", "job.ts"],
    prints: ["11"],
  },
  ...folders,
  ...bundles,
  ...commonJs,
};
