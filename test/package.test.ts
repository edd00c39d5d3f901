/**
 * The package as its users get it: packed, installed from the tarball into a folder of its own, and
 * used there. Real processes, locally and under each MPI; nothing of this repository is in reach.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../package.json";
import { mpirunCommand, type Outcome, run } from "./mpi/launch.ts";
import type { Mode } from "./contract/case.ts";
import { testsUnder } from "./setup/drawn.ts";
import { type MpiFamily, mpiFamilies } from "./setup/mpi.ts";

const LIMIT_MS = 60_000;
/** To make the declarations of types takes 9 s of a core, which other tests want, too. */
const PACK_MS = 180_000;
const ROOT = join(import.meta.dir, "..");
const BUN = process.execPath;

const README = await Bun.file(join(ROOT, "README.md")).text();
/** The first program of the README, word for word. */
const JOB = /^```ts\n([^]*?)^```$/m.exec(README)![1]!;

const SQUARES = Array.from({ length: 20 }, (_, i) => i * i);

/** Every kind of function, in three modules. What it prints is \`FUNCTIONS_RESULT\`. */
const FUNCTIONS = `import { AsyncPool, task } from "bsync";
import { scale } from "./scale.ts";
import { doubled } from "./deep/er/doubled.ts";

const OFFSET = 100;
function hidden(x: number) { return x + OFFSET; }
const apply = (fn: (x: number) => number, x: number) => fn(x);
const registered = task("registered", (x: number) => scale(x) + OFFSET);

await using pool = await AsyncPool.open(2);
const results: unknown[] = await Promise.all([
  pool.async(hidden, 1),
  pool.async((x: number) => hidden(x) + OFFSET, 2),
  pool.async(scale, 3),
  doubled(pool, 4),
  pool.async(registered, 5),
  pool.async("hidden", 6),
  pool.async("Math.hypot", 3, 4),
  pool.async(apply, hidden, 7),
]);
console.log(JSON.stringify(results));
`;

const FUNCTIONS_RESULT = [101, 202, 30, 8, 150, 106, 5, 107];

const SCALE = `const FACTOR = 10;
export function scale(x: number) { return x * FACTOR; }
`;

const DOUBLED = `import type { AsyncPool } from "bsync";

const TWO = 2;
function double(x: number) { return x * TWO; }

export function doubled(pool: AsyncPool, x: number): Promise<number> {
  return pool.async(double, x).get();
}
`;

const USERS_TEST = `import { AsyncPool } from "bsync";
import { expect, test } from "bun:test";

const BASE = 7;
function add(x: number) { return x + BASE; }

test("adds on a worker", async () => {
  await using pool = await AsyncPool.open(2);
  expect(await pool.async(add, 1)).toBe(8);
  expect(await pool.async((x: number) => add(x) * 2, 1)).toBe(16);
  expect(pool.async(add, 2).getSync()).toBe(9);
});
`;

const BUNDLED = `import { AsyncPool, task } from "bsync";
import { scale } from "./scale.ts";

const OFFSET = 100;
const registered = task("registered", (x: number) => scale(x) + OFFSET);

await using pool = await AsyncPool.open(2);
const inline = pool.async((x: number) => x + OFFSET, 1);
console.log(JSON.stringify([await pool.async(registered, 2), await inline]));
`;

const COMPILED = `import { AsyncPool, task } from "bsync";
import { scale } from "./scale.ts";

const OFFSET = 100;
const registered = task("registered", (x: number) => scale(x) + OFFSET);

await using pool = await AsyncPool.open(2);
const handles = [1, 2, 3].map((x) => pool.async(registered, x));
console.log(JSON.stringify(await Promise.all(handles)));
`;

/** What TypeScript has to infer, and to refuse. */
const TYPED = `import { AsyncPool, type MessageHandle, type PoolOptions, TimeoutError } from "bsync";
import { type Request, type Status, SUM, world } from "bsync/mpi";

function square(x: number) { return x * x; }
async function name(id: bigint) { return \`n\${id}\`; }

await using pool = await AsyncPool.open(1, { timeout: 5_000 });
const handle: MessageHandle<number> = pool.async(square, 2);
const text: string = await pool.with({ priority: -1 }).async(name, 1n);
const squares: number[] = await pool.each(square, 3);
const hypot = await pool.async<number>("Math.hypot", 3, 4);
// @ts-expect-error: the function takes a number
pool.async(square, "2");
// @ts-expect-error: and one of them
pool.async(square);
// @ts-expect-error: there is no such option
await AsyncPool.open(1, { retires: 1 });
// @ts-expect-error: nor such a signal
await AsyncPool.open(1, { drainSignals: "SIGFOO" });
// @ts-expect-error: the initializer takes a number
await AsyncPool.open(1, { initializer: [square, "2"] });
// @ts-expect-error: and one of them
await AsyncPool.open(1, { initializer: [square] });
const options: PoolOptions = { initializer: [square, 2], drainSignals: ["SIGTERM", "SIGUSR1"] };
await AsyncPool.open(1, options);
await AsyncPool.open(1, { initializer: ["Math.hypot", 3, 4] });
await AsyncPool.open(1, { initializer: (x?: number) => x });
const total: Float64Array = world.allreduce(Float64Array.of(1), SUM);
const parts: BigInt64Array | null = world.gather(new BigInt64Array(2), 0);
const request: Request = world.isend(total, 0);
const status: Status = await request;
const received: string = await world.irecvObject<string>();
// @ts-expect-error: no array
world.send("text", 0);
// @ts-expect-error: arrays of two kinds
world.allreduce(new Float64Array(1), new Int32Array(1));
export { handle, hypot, parts, received, squares, status, text, TimeoutError };
`;

const PLAIN = {
  target: "ESNext",
  module: "Preserve",
  lib: ["ESNext"],
  types: ["bun-types"],
  strict: true,
  noEmit: true,
};

/** What a careful user adds to it. */
const STRICTER = {
  ...PLAIN,
  noUncheckedIndexedAccess: true,
  exactOptionalPropertyTypes: true,
  noPropertyAccessFromIndexSignature: true,
  noImplicitOverride: true,
  noImplicitReturns: true,
  noFallthroughCasesInSwitch: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  erasableSyntaxOnly: true,
};

/** Holds all the others. */
let temporary = "";
/** The user's project. */
let user = "";
let tarball = "";
let files: string[] = [];
let installed: Record<string, string> = {};

beforeAll(async () => {
  temporary = await mkdtemp(join(tmpdir(), "bsync-package-"));
  user = join(temporary, "user's project");
  await mkdir(user);
  const pack = [BUN, "pm", "pack", "--destination", temporary, "--quiet"];
  said(await run(["env", "-C", ROOT, ...pack], {}, PACK_MS));
  tarball = join(temporary, `bsync-${manifest.version}.tgz`);
  const contents = await new Bun.Archive(await Bun.file(tarball).bytes()).files();
  files = [...contents.keys()].sort();
  said(await inUser(BUN, "add", `../bsync-${manifest.version}.tgz`));
  await Bun.write(join(user, "job.ts"), JOB);
  await Bun.write(join(user, "functions.ts"), FUNCTIONS);
  await Bun.write(join(user, "scale.ts"), SCALE);
  await Bun.write(join(user, "deep", "er", "doubled.ts"), DOUBLED);
  installed = await fingerprints();
}, LIMIT_MS + PACK_MS);

afterAll(() => rm(temporary, { recursive: true, force: true }));

describe("the tarball", () => {
  test("holds what a program needs, and what a person looks for", () => {
    const top = [...new Set(files.map((file) => file.split("/")[1]))];
    expect(top).toEqual(expect.arrayContaining(["index.ts", "mpi.ts", "src", "c"]));
    expect(top).toEqual(expect.arrayContaining(["README.md", "LICENSE", "CHANGELOG.md"]));
  });

  test("holds every source", () => {
    const sources = ["src", "c"].flatMap((path) => [...new Bun.Glob(`${path}/**`).scanSync(ROOT)]);
    expect(sources.length).toBeGreaterThan(10);
    expect(files).toEqual(expect.arrayContaining(sources.map((file) => `package/${file}`)));
  });

  test("holds no tests, and nothing that only this repository needs", () => {
    const folders = /^package\/(test|bench|\.git|\.ci)\/|\/node_modules\//;
    const others = /\.test\.ts$|\.lockb?$|-lock\.|bunfig|tsconfig/;
    expect(files.filter((file) => folders.test(file) || others.test(file))).toEqual([]);
  });
});

contract("locally", "local", (...command) => inUser(...command));
for (const family of mpiFamilies()) {
  contract(`under ${family}`, family, (...command) => inUser(...launched(family, 5, command)));
}

function contract(
  name: string,
  mode: Mode,
  start: (...command: string[]) => Promise<Outcome>,
): void {
  describe(name, () => {
    const test = testsUnder(mode);
    test(
      "the first program of the README prints its squares, once",
      async () => {
        expect(printed(await start(BUN, "run", "job.ts"))).toEqual(SQUARES);
      },
      LIMIT_MS,
    );

    test(
      "functions of every kind are found, in every module",
      async () => {
        expect(printed(await start(BUN, "run", "functions.ts"))).toEqual(FUNCTIONS_RESULT);
      },
      LIMIT_MS,
    );

    test(
      "a bundled program runs, away from its sources and from node_modules",
      async () => {
        const path = await built("bundled.js", BUNDLED, "--target", "bun");
        expect(printed(await start(BUN, "run", path))).toEqual([120, 101]);
      },
      LIMIT_MS,
    );

    test(
      "a minified one too",
      async () => {
        const path = await built("minified.js", BUNDLED, "--target", "bun", "--minify");
        expect(printed(await start(BUN, "run", path))).toEqual([120, 101]);
      },
      LIMIT_MS,
    );

    test(
      "a compiled program runs",
      async () => {
        const path = await built("compiled", COMPILED, "--compile");
        expect(printed(await start(path))).toEqual([110, 120, 130]);
      },
      LIMIT_MS,
    );

    test.each([
      [["primes.ts", "1e5"], "pi(100000) = 9592"],
      [["nas-ep.ts", "S"], "VERIFICATION SUCCESSFUL"],
      [["mandelbrot.ts", "24", "16", "installed.png"], "24 x 16"],
      [["heat.ts", "12", "20", "installed"], "field"],
      [["ports/piscina.ts", "2", "3"], "2 + 3 = 5"],
    ] as const)(
      "its examples run as they are installed: %p prints %s",
      async ([example, ...args], expected) => {
        const path = `node_modules/bsync/examples/${example}`;
        expect(said(await start(BUN, "run", path, ...args))).toContain(expected);
      },
      LIMIT_MS,
    );

    test(
      "bunx bsync doctor finds that all is well",
      async () => {
        const report = printed(await start(BUN, "x", "bsync", "doctor", "--json"));
        expect(report).toMatchObject({ bsync: manifest.version, ok: true });
      },
      LIMIT_MS,
    );

    test(
      "bunx bsync multi runs jobs",
      async () => {
        const words = ["multi", "-k", "echo", "{}.$BSYNC_WORKER", ":::", "a", "b"];
        expect(said(await start(BUN, "x", "bsync", ...words))).toMatch(/^a\.\d\nb\.\d\n/);
      },
      LIMIT_MS,
    );
  });
}

describe("in the user's project", () => {
  test(
    "a report is made without what draws pictures, and says what to add for one",
    async () => {
      said(
        await run(
          ["env", "-C", user, "BSYNC_TRACE=trace.json", BUN, "run", "job.ts"],
          {},
          LIMIT_MS,
        ),
      );
      const words = ["report", "trace.json", "--png", "picture.png"];
      const { exitCode, stdout, stderr } = await inUser(BUN, "x", "bsync", ...words);
      expect([exitCode, stderr]).toEqual([
        1,
        "bsync report: Cannot draw picture.png: there is no @resvg/resvg-wasm, which draws it; add " +
          "it: bun add @resvg/resvg-wasm\n",
      ]);
      expect(stdout).toEndWith("Page: trace.html\n");
      for (const name of ["trace.json", "trace.html"]) await rm(join(user, name));
    },
    LIMIT_MS,
  );

  test(
    "a test file opens a local pool",
    async () => {
      await Bun.write(join(user, "adding.test.ts"), USERS_TEST);
      const { exitCode, stdout, stderr } = await inUser(BUN, "test");
      if (exitCode !== 0) throw new Error(`${stdout}${stderr}`);
      expect(stderr).toContain("1 pass\n");
    },
    LIMIT_MS,
  );

  describe("the types check", () => {
    beforeAll(async () => {
      const types = `bun-types@${manifest.devDependencies["bun-types"]}`;
      said(await inUser(BUN, "add", "--dev", types));
      await Bun.write(join(user, "typed.ts"), TYPED);
    }, LIMIT_MS);

    test(
      "in a plain strict project",
      async () => {
        await checked("tsconfig.json", PLAIN);
      },
      LIMIT_MS,
    );

    test(
      "in a stricter one",
      async () => {
        await checked("tsconfig.stricter.json", STRICTER);
      },
      LIMIT_MS,
    );

    test(
      "and where Bun's are missing, bun:ffi is not",
      async () => {
        const name = "tsconfig.bare.json";
        const compilerOptions = { ...PLAIN, types: [] };
        await Bun.write(join(user, name), JSON.stringify({ compilerOptions, include: ["job.ts"] }));
        const { stdout, stderr } = await inUser(BUN, "check", "--no-pretty", "--project", name);
        expect(stdout + stderr).toContain("AbortSignal");
        expect(stdout + stderr).not.toContain("bun:ffi");
      },
      LIMIT_MS,
    );
  });
});

test("nothing of all this has written into the package", async () => {
  expect(Object.keys(installed).length).toBeGreaterThan(10);
  expect(await fingerprints()).toEqual(installed);
});

/** Runs a command in a folder, the MPI binding being built anew in the first job of each MPI. */
function inFolder(folder: string, ...command: string[]): Promise<Outcome> {
  const env = { BSYNC_CACHE_DIR: join(temporary, "cache") };
  return run(["sh", "-c", 'cd "$0" && exec "$@"', folder, ...command], env);
}

function inUser(...command: string[]): Promise<Outcome> {
  return inFolder(user, ...command);
}

/** The command line that starts a command on `ranks` ranks. */
function launched(family: MpiFamily, ranks: number, command: string[]): string[] {
  const script = mpirunCommand(family, ranks, "");
  return [...script.slice(0, script.indexOf(BUN)), ...command];
}

/** Builds a program in the user's project, into another folder; returns the path of what came out. */
async function built(name: string, source: string, ...options: string[]): Promise<string> {
  const path = join(temporary, "built", name);
  if (await Bun.file(path).exists()) return path;
  const entry = `${name.replace(".js", "")}.ts`;
  await Bun.write(join(user, entry), source);
  said(await inUser(BUN, "build", entry, ...options, `--outfile=${path}`));
  return path;
}

/** Fails with what the type checker said. */
async function checked(name: string, compilerOptions: object): Promise<void> {
  const include = ["job.ts", "typed.ts"];
  await Bun.write(join(user, name), JSON.stringify({ compilerOptions, include }));
  said(await inUser(BUN, "check", "--no-pretty", "--project", name));
}

function said({ exitCode, stdout, stderr }: Outcome): string {
  if (exitCode !== 0) throw new Error(`exited with ${exitCode}\n${stdout}${stderr}`);
  return stdout;
}

/** The one value that a program printed. Some launchers give it a terminal, and Bun colours then. */
function printed(outcome: Outcome): unknown {
  return JSON.parse(Bun.stripANSI(said(outcome)));
}

/** A hash of each file of the installed package. */
async function fingerprints(): Promise<Record<string, string>> {
  const folder = join(user, "node_modules", "bsync");
  const hashes: Record<string, string> = {};
  for (const file of [...new Bun.Glob("**").scanSync({ cwd: folder, dot: true })].sort()) {
    hashes[file] = Bun.hash(await Bun.file(join(folder, file)).bytes()).toString(16);
  }
  return hashes;
}
