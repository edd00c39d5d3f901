/** Errors of programs in folders of their own: classes of packages and of main scripts, bundles. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Job, type Launch } from "./contract/job.ts";
import { testsUnder } from "./setup/drawn.ts";
import { mpiFamilies } from "./setup/mpi.ts";

const ROOT = join(import.meta.dir, "..");
const ENDED_MS = 40_000;

const folder = mkdtempSync(join(tmpdir(), "bsync-failures-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A class that is thrown by one module of a package and exported by others. */
const PACKAGE = {
  "node_modules/paints/package.json": '{ "name": "paints", "main": "index.js" }',
  "node_modules/paints/index.js": `const errors = require("./errors.js");
module.exports = { errors, mix: require("./deep/mix.js"), Late: errors.LateError };`,
  "node_modules/paints/errors.js": `class PaintError extends Error {
  constructor(colour) { super("no " + colour.name); this.name = "PaintError"; this.colour = colour.name; }
}
class LateError extends PaintError {}
Object.defineProperty(exports, "PaintError", { enumerable: true, get: () => PaintError });
exports.LateError = LateError;`,
  "node_modules/paints/deep/mix.js": `const { PaintError, LateError } = require("../errors.js");
module.exports = (colour) => { throw colour === "late" ? new LateError({ name: colour }) : new PaintError({ name: colour }); };`,
};

const PROGRAM = `import { AsyncPool, TimeoutError } from "bsync";
import paints from "paints";
export class MainError extends TypeError { constructor(readonly id: number) { super("main " + id); } }
class Unexported extends MainError { override name = "Unexported"; }
export function fail(kind: string): never {
  if (kind === "main") throw new MainError(1);
  if (kind === "unexported") throw new Unexported(2);
  return paints.mix(kind);
}
async function main() {
  await using pool = await AsyncPool.open(1);
  const told = async (kind: string) => {
    const error = await pool.async(fail, kind).then(() => null, (e) => e);
    const { errors } = paints;
    const kinds = { MainError, PaintError: errors.PaintError, LateError: errors.LateError };
    const of = Object.keys(kinds).filter((name) => error instanceof kinds[name as never]);
    console.log(JSON.stringify([error.message, error.constructor.name, of]));
  };
  for (const kind of ["main", "unexported", "red", "late"]) await told(kind);
}
await main();
`;

const EXPECTED = [
  '["main 1","MainError",["MainError"]]',
  '["main 2","Unexported",["MainError"]]',
  '["no red","PaintError",["PaintError"]]',
  '["no late","LateError",["PaintError","LateError"]]',
];

function project(name: string, files: Readonly<Record<string, string>>): string {
  const home = join(folder, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    writeFileSync(join(home, path), text);
  }
  mkdirSync(join(home, "node_modules"), { recursive: true });
  symlinkSync(ROOT, join(home, "node_modules/bsync"));
  return home;
}

async function linesOf(launch: Launch, script: string): Promise<string[]> {
  await using job = new Job(launch, script);
  await job.ended(ENDED_MS);
  await job.leftNothing();
  if (job.process.exitCode !== 0) throw new Error(job.stderr);
  return job.stdout.split("\n").filter((line) => line !== "");
}

const local: Launch = { mode: "local", ranks: 1 };

describe("classes of the main script and of packages", () => {
  const home = project("classes", { ...PACKAGE, "main.ts": PROGRAM });
  for (const launch of [local, ...mpiFamilies().map((mode) => ({ mode, ranks: 2 }))]) {
    testsUnder(launch.mode)(
      `${launch.mode}: arrive as those of the controller`,
      async () => expect(await linesOf(launch, join(home, "main.ts"))).toEqual(EXPECTED),
      ENDED_MS + 10_000,
    );
  }
});

/** What is thrown is thrown here as well: the places of both are compared. */
const PLACES = `import { AsyncPool, task } from "bsync"; const first = task("first", (x: number) => { throw new Error("first " + x); });
import { far } from "./far.ts";
const second = task("far", far);
const later = task("later", async (x: number) => {
  await Bun.sleep(1); throw new TypeError("later " + x);
});
const spin = task("spin", () => { for (;;); });
function place(stack: string): string {
  const frames = stack.split("\\n").filter((line) => line.startsWith("    at ") && !line.includes("---"));
  return frames[0]!.replace(/^.*?at (async )?/, "").replace(/^[^/]*/, "");
}
await using pool = await AsyncPool.open(1);
for (const fn of [first, second, later]) {
  let here = "";
  try { await fn(1); } catch (error) { here = place((error as Error).stack!); }
  try { await pool.async(fn, 1); } catch (error) {
    const { stack } = error as Error;
    const there = place(stack!);
    console.log(there === here ? "same" : "not " + here + " but " + there, stack!.split("\\n").length);
  }
}
try { pool.async("nope("); } catch (error) {
  console.log((error as Error).name, (error as Error).constructor.name);
}
await pool.with({ timeout: 5 }).async(spin).get().catch((error) => {
  console.log(error.name, error.constructor.name);
});
`;
const FAR = `export function far(x: number): never { throw new RangeError("far " + x); }\n`;

describe("stacks", () => {
  const home = project("places", { "src/main.ts": PLACES, "src/far.ts": FAR });
  const FRAMES = [
    ...["same 3", "same 3", "same 3"],
    "FunctionError FunctionError",
    "TimeoutError TimeoutError",
  ];

  test("have the places of the files, first lines too, and no frames of bsync", async () => {
    expect(await linesOf(local, join(home, "src/main.ts"))).toEqual(FRAMES);
  });

  for (const sourcemap of ["none", "linked", "inline", "external"] as const) {
    test(
      `of a minified bundle are as good, and so are names, with sourcemap ${sourcemap}`,
      async () => {
        const outdir = join(home, sourcemap);
        const built = await Bun.build({
          entrypoints: [join(home, "src/main.ts")],
          outdir,
          target: "bun",
          minify: true,
          sourcemap,
          throw: false,
        });
        if (!built.success) throw new AggregateError(built.logs);
        expect(await linesOf(local, join(outdir, "main.js"))).toEqual(FRAMES);
      },
      ENDED_MS,
    );
  }
});
