/** What the program runs under, its workers run under. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readingFlags, sharedFlags, startFolder } from "../../src/os/runtime.ts";
import { mpirunCommand } from "../mpi/launch.ts";
import { testsUnder } from "../setup/drawn.ts";
import { drawnFamilies } from "../setup/drawn.ts";
import { Lab } from "./lab.ts";

setDefaultTimeout(60_000);

/** Prints "same" where a worker sees what the program sees, else what either does. */
const SEE = `import { AsyncPool } from "bsync";
import dns from "node:dns";
import condition from "conditional";
declare const GIVEN: unknown;
export function see() {
  return JSON.stringify({
    execArgv: process.execArgv, argv: process.argv.slice(1), main: Bun.main, title: process.title,
    gc: typeof gc, dns: dns.getDefaultResultOrder(), condition, plugged: Reflect.get(globalThis, "plugged"),
    given: typeof GIVEN === "undefined" ? null : GIVEN, fromFile: process.env.FROM_FILE ?? null, named: process.env.NAMED,
    cwd: process.env.ELSEWHERE ? null : process.cwd(), options: process.env.BUN_OPTIONS,
  });
}
const here = see();
if (process.env.ELSEWHERE === "chdir") process.chdir("/");
await using pool = await AsyncPool.open(1, process.env.ELSEWHERE === "cwd" ? { cwd: "/" } : {});
const there = await pool.async(see);
console.log(here === there ? "same " + here : here + "\\n" + there);
`;

let lab: Lab;
beforeAll(() => {
  lab = new Lab({
    "see.ts": SEE,
    "chdir.ts": `process.chdir("/");
const { AsyncPool } = await import("bsync");
await using pool = await AsyncPool.open(1);
console.log(String(await pool.async("() => plugged")));`,
    "preload.ts": `globalThis.plugged = (globalThis.plugged ?? 0) + 1;`,
    "my.toml": `preload = ["./preload.ts"]`,
    "sub/bunfig.toml": `preload = ["../preload.ts"]\n[define]\nGIVEN = "7"\n`,
    ".env": "FROM_FILE=1",
    "named.env": "NAMED=2",
    "node_modules/conditional/package.json": `{"exports":{"special":"./a.js","default":"./b.js"}}`,
    "node_modules/conditional/a.js": `export default "special";`,
    "node_modules/conditional/b.js": `export default "default";`,
    "package.json": `{"scripts":{"see":"bun --expose-gc see.ts 1"}}`,
  });
});
afterAll(() => lab[Symbol.dispose]());

/** A command, what the program has to see for the test to mean anything, and variables. */
const COMMANDS: [string, object, Record<string, string>?][] = [
  ["bun see.ts a --smol", { argv: ["a", "--smol"], fromFile: "1" }],
  ["bun run see.ts -- -- a", { argv: ["--", "a"] }],
  ["bun --smol run --expose-gc see.ts", { gc: "function" }],
  ["bun --dns-result-order=ipv4first --title mine see.ts", { dns: "ipv4first" }],
  ["bun --preload=./preload.ts see.ts", { plugged: 1 }],
  ["bun -r ./preload.ts see.ts", { plugged: 1 }, { ELSEWHERE: "cwd" }],
  ["bun --import ./preload.ts see.ts", { plugged: 1 }, { ELSEWHERE: "chdir" }],
  ["bun --config=my.toml see.ts", { plugged: 1 }, { ELSEWHERE: "cwd" }],
  ["cd sub && bun ../see.ts", { plugged: 1, given: 7 }],
  ["cd sub && bun ../see.ts", { plugged: 1, given: 7 }, { ELSEWHERE: "chdir" }],
  ["bun --cwd=sub ../see.ts", { given: 7 }],
  ["bun --conditions special -d GIVEN:5 see.ts", { condition: "special", given: 5 }],
  ["bun --env-file=named.env see.ts", { named: "2" }],
  ["bun --no-env-file see.ts", { fromFile: null }],
  ["bun --cpu-prof --cpu-prof-dir profiles see.ts", {}],
  ["bun run see", { gc: "function", argv: ["1"] }],
  ["bun see.ts", { gc: "function", plugged: 1 }, { BUN_OPTIONS: "--expose-gc -r ./preload.ts" }],
  ["bun --smol see.ts", { gc: "function" }, { BUN_OPTIONS: "--expose-gc", ELSEWHERE: "cwd" }],
];

const rows = COMMANDS.map(([command, seen, env = {}]) => [command, seen, env] as const);

test.each(rows)("%s %j", async (command, seen, env) => {
  const { stdout, stderr, exitCode } = await lab.run(command, env);
  expect({ stderr: stderr.replace(/^\$.*\n/, ""), exitCode }).toEqual({ stderr: "", exitCode: 0 });
  expect(stdout).toStartWith("same ");
  const { argv, ...rest } = JSON.parse(stdout.slice("same ".length));
  const { argv: args, ...others } = seen as { argv?: string[] };
  expect(rest).toMatchObject(others);
  if (args !== undefined) expect(argv.slice(1)).toEqual(args);
});

test("a script given on standard input, and one that is an argument", async () => {
  const program =
    `import { AsyncPool } from "bsync"; const see = () => JSON.stringify([process.argv, process.execArgv]); ` +
    `await using pool = await AsyncPool.open(1); console.log(see() === await pool.async(see));`;
  for (const command of [`bun --smol -e '${program}' x y`, `echo '${program}' | bun --smol -`]) {
    expect(await lab.run(command)).toEqual({ exitCode: 0, stdout: "true\n", stderr: "" });
  }
});

test("a program that has gone elsewhere before bsync was loaded", async () => {
  const { stdout, stderr } = await lab.run("bun -r ./preload.ts chdir.ts");
  expect({ stdout, stderr }).toEqual({ stdout: "1\n", stderr: "" });
});

test("a debugger's address is for the program alone", async () => {
  for (const [command, env] of [
    ["bun --inspect=127.0.0.1:0 see.ts", {}],
    ["bun see.ts", { BUN_INSPECT: "127.0.0.1:0" }],
    ["bun see.ts", { BUN_OPTIONS: "--inspect=127.0.0.1:0 --expose-gc" }],
  ] as const) {
    const { stdout, stderr, exitCode } = await lab.run(command, env);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('"argv"');
    // The program's own, once.
    expect(stderr.split("Listening").length).toBeLessThanOrEqual(2);
  }
});

describe.each(drawnFamilies())("%s", (family) => {
  const test = testsUnder(family, 1);
  test("the child of an isolated rank, and a process beside rank 0", async () => {
    const program = SEE.replace("AsyncPool.open(1,", "AsyncPool.open([1, null],")
      .replace(": {});", ": { isolate: true });")
      .replace("await pool.async(see)", "(await pool.each(see)).find((x) => x !== here) ?? here");
    lab.write("mpi.ts", program);
    const command = mpirunCommand(family, 2, "").slice(0, -3).join(" ");
    const env = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" };
    const flags = "--expose-gc --preload=./preload.ts";
    const { stdout, stderr } = await lab.run(
      `${command} ${process.execPath} ${flags} mpi.ts a`,
      env,
    );
    expect({ stdout: stdout.slice(0, 5), stderr }).toEqual({ stdout: "same ", stderr: "" });
  });
});

test("flags that mean one process", () => {
  const kept = ["--smol", "--preload", "./a.ts", "-d", "X:1", "--title", "-e", "--unknown"];
  expect(sharedFlags(["--smol", "--inspect=9229", ...kept.slice(1, 5), "--watch"])).toEqual(
    kept.slice(0, 5),
  );
  expect(sharedFlags(["-p", "1 + 1", "--cpu-prof-dir", "x", "--cpu-prof-name=y", "--hot"])).toEqual(
    [],
  );
  expect(sharedFlags(["--env-file", "a", "--env-file=b", "--unknown"])).toEqual(["--unknown"]);
});

test("flags of bun test that say how modules are read", () => {
  const words = ["--timeout", "9", "--conditions", "a", "-d", "X:1", "--define=Y:2", "./x.test.ts"];
  const kept = ["--conditions", "a", "-d", "X:1", "--define=Y:2"];
  expect(readingFlags(words)).toEqual(kept);
  expect(readingFlags(["--preload", "./a.ts", "-t", "name", "--smol"])).toEqual([]);
});

test("workers of a test run read modules as it does", async () => {
  lab.write(
    "reading.test.ts",
    `import { AsyncPool } from "bsync"; import { expect, test } from "bun:test"; import condition from "conditional";
declare const GIVEN: unknown;
export function see() { return [condition, GIVEN]; }
test("the same", async () => { await using pool = await AsyncPool.open(1);
  expect(see()).toEqual(["special", 3]); expect(await pool.async(see)).toEqual(["special", 3]); });`,
  );
  const { stderr, exitCode } = await lab.run(
    "bun test --conditions special --define GIVEN:3 ./reading.test.ts",
  );
  expect(stderr).toContain("1 pass");
  expect(exitCode).toBe(0);
});

test("this very run was started where it says", () => {
  expect(startFolder()).toBe(process.cwd());
});
