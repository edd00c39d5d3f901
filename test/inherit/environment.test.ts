/** What tasks start gets nothing of bsync's, and all else; and BSYNC_ variables mean what they say. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { AS_ROOT, mpirunCommand } from "../mpi/launch.ts";
import { testsUnder } from "../setup/drawn.ts";
import { drawnFamilies } from "../setup/drawn.ts";
import { mpiFamilies, type MpiFamily } from "../setup/mpi.ts";
import { Lab } from "./lab.ts";

setDefaultTimeout(60_000);

const FILES = {
  "inner.ts": `import { AsyncPool } from "bsync";
await using pool = await AsyncPool.open(1);
console.log("inner", String(await pool.async("Math.hypot", 3, 4)));`,
  "world.ts": `import { world } from "bsync/mpi"; console.log("world of", String(world.size));`,
  "thread.ts": `import { AsyncPool } from "bsync";
const pool = await AsyncPool.open(1, { mpi: false });
postMessage(await pool.async((x: number) => x * 2, 4));
await pool.close();`,
  "started.ts": `import { AsyncPool } from "bsync";
import { execFileSync } from "node:child_process";
const PRINT = ["-e", "console.log(JSON.stringify(process.env))"];
async function variables() {
  const own = Bun.spawnSync([process.execPath, ...PRINT]).stdout.toString();
  const given = Bun.spawnSync([process.execPath, ...PRINT], { env: process.env }).stdout.toString();
  const node = execFileSync(process.execPath, PRINT).toString();
  const thread = new Worker("data:text/javascript,postMessage(JSON.stringify(process.env))");
  const threads = await new Promise<string>((resolve) => (thread.onmessage = (e) => resolve(e.data)));
  thread.terminate();
  return [own, given, node, threads].map((text) => Object.entries(JSON.parse(text)).sort().join("\\n"));
}
await using pool = await AsyncPool.open(1);
const here = await variables();
const there = await pool.async(variables);
console.log(here.map((text, i) => (text === there[i] ? "same" : text + "\\n\\n" + there[i])).join(" "));`,
  "starting.ts": `import { AsyncPool } from "bsync";
async function start(command: string[]) {
  const child = Bun.spawn(command, { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return [await child.exited, (out + err).replace(/\\x1b\\[\\d*m/g, "")] as const;
}
function thread() {
  const worker = new Worker(new URL("./thread.ts", import.meta.url).href);
  return new Promise((resolve) => {
    worker.onmessage = (event) => resolve(event.data);
    worker.onerror = (event) => resolve(event.message);
  }).finally(() => worker.terminate());
}
await using pool = await AsyncPool.open(1, process.argv[2] === "isolated" ? { isolate: true } : {});
console.log("thread", String(await pool.async(thread)));
for (const command of JSON.parse(process.argv[3]!)) {
  const [code, text] = await pool.async(start, command);
  console.log(code, text.trim());
}`,
};

let lab: Lab;
beforeAll(() => {
  lab = new Lab(FILES);
});
afterAll(() => lab[Symbol.dispose]());

const BUN = process.execPath;
const INNER = [BUN, "inner.ts"];
const WORLD = [BUN, "world.ts"];

/** The words that start an mpirun. */
function launch(family: MpiFamily, ranks: number): string[] {
  return mpirunCommand(family, ranks, "").slice(0, -3);
}

function quoted(commands: string[][]): string {
  return `'${JSON.stringify(commands)}'`;
}

test("programs and threads that a task starts see what those of the program see", async () => {
  const { stdout, stderr } = await lab.run("bun started.ts");
  expect({ stdout, stderr }).toEqual({ stdout: "same same same same\n", stderr: "" });
});

test("the user's own settings of MPI reach workers, and a given environment is taken as it is", async () => {
  lab.write(
    "settings.ts",
    `import { AsyncPool } from "bsync";
const see = () => JSON.stringify(Object.entries(process.env).filter(([name]) => /MPI|PMI|HYD|SLURM/.test(name)).sort());
await using pool = await AsyncPool.open(1);
const env = { ...process.env, OMPI_MCA_btl: "self", PMI_RANK: "7" };
await using other = await AsyncPool.open(1, { env });
console.log((await pool.async(see)) === see(), JSON.parse(await other.async(see)).join(" "));`,
  );
  const env = {
    OMPI_MCA_btl: "tcp,self",
    OMPI_MCA_ess: "env",
    OMPI_CC: "clang",
    HYDRA_LAUNCHER: "ssh",
    PMIX_MCA_gds: "hash",
    SLURM_STEP_ID: "0",
  };
  const { stdout } = await lab.run("bun settings.ts", env);
  expect(stdout).toStartWith("true ");
  expect(stdout).toContain("OMPI_MCA_btl,self");
  expect(stdout).toContain("PMI_RANK,7");
});

test("local: a task starts programs that use bsync, threads, and jobs of its own", async () => {
  const families = drawnFamilies();
  const jobs = families.flatMap((family) => [
    [...launch(family, 2), ...INNER],
    [...launch(family, 2), ...WORLD],
  ]);
  const commands = quoted([INNER, ["sh", "-c", INNER.join(" ")], ...jobs]);
  const { stdout } = await lab.run(`bun starting.ts plain ${commands}`, AS_ROOT);
  const expected = ["thread 8", "0 inner 5", "0 inner 5"];
  for (const _ of families) expected.push("0 inner 5", "0 world of 2", "world of 2");
  expect(stdout.trim().split("\n")).toEqual(expected);
});

describe.each(drawnFamilies())("%s", (family) => {
  const test = testsUnder(family, 2);
  const other = mpiFamilies().find((one) => one !== family) ?? family;

  test("a rank's task starts programs, which are no ranks, and jobs of its own", async () => {
    const jobs = [...launch("mpich", 2), ...INNER];
    const own = mpiFamilies().includes("mpich") ? [jobs] : [];
    const commands = quoted([INNER, ["sh", "-c", INNER.join(" ")], WORLD, ...own]);
    const command = launch(family, 2).join(" ");
    const { stdout } = await lab.run(`${command} ${BUN} starting.ts plain ${commands}`, AS_ROOT);
    expect(stdout).toContain("thread 8\n0 inner 5\n0 inner 5\n1 ");
    expect(stdout).toContain("has started this program, which has no place in that job");
    if (own.length > 0) expect(stdout.trim()).toEndWith("0 inner 5");
  });

  test("so does the task of an isolated rank's child, which is none", async () => {
    const commands = quoted([INNER, WORLD, [...launch(other, 2), ...INNER]]);
    const command = launch(family, 2).join(" ");
    const { stdout } = await lab.run(`${command} ${BUN} starting.ts isolated ${commands}`, AS_ROOT);
    const lines = stdout.trim().split("\n");
    expect(lines).toEqual(["thread 8", "0 inner 5", "0 world of 1", "0 inner 5"]);
  });

  test("only what the launcher has set for the rank is left out", async () => {
    lab.write(
      "beside.ts",
      `import { AsyncPool } from "bsync";
const see = () => Object.entries(process.env).filter(([name]) => /MPI|PMI|HYD|GFORT/.test(name)).sort().join(" ");
await using pool = await AsyncPool.open([1, null], { env: { ...process.env, MPI_MORE: "1" } });
console.log((await pool.each(see))[1]);`,
    );
    const env = { OMPI_MCA_pml: "ob1", HYDRA_DEBUG: "0", OMPI_CC: "clang", PMIX_MCA_gds: "hash" };
    const command = `env -i PATH="$PATH" ${Object.entries({ ...AS_ROOT, ...env })
      .map(([name, value]) => `${name}=${value}`)
      .join(" ")} ${launch(family, 2).join(" ")} ${BUN} beside.ts`;
    const { stdout } = await lab.run(command);
    const expected = Object.entries({ ...AS_ROOT, ...env, MPI_MORE: "1" }).sort();
    expect(stdout.trim()).toBe(expected.join(" "));
  });

  const words = { no: 2, " ": 1, yes: 1 };
  test("BSYNC_USE_MPI means what it says, or is refused", async () => {
    lab.write(
      "role.ts",
      `import { AsyncPool, getSize } from "bsync";
await using pool = await AsyncPool.open(1); console.log(pool.role, String(getSize()));`,
    );
    const command = `${launch(family, 2).join(" ")} ${BUN} role.ts`;
    for (const [word, programs] of Object.entries(words)) {
      const { stdout } = await lab.run(command, { ...AS_ROOT, BSYNC_USE_MPI: word });
      const line = `controller ${programs === 1 ? 2 : 1}`;
      expect([word, ...stdout.trim().split("\n")]).toEqual([word, ...Array(programs).fill(line)]);
    }
    const { stderr, exitCode } = await lab.run(command, { ...AS_ROOT, BSYNC_USE_MPI: "maybe" });
    expect(stderr).toContain("Cannot use BSYNC_USE_MPI=maybe: it must be 1 (or true, yes, on)");
    expect(exitCode).not.toBe(0);
  });

  test("bun test ends with 0 where all tests pass, and not where one fails", async () => {
    lab.write(
      "job.test.ts",
      `import { AsyncPool } from "bsync"; import { world, SUM } from "bsync/mpi"; import { expect, test } from "bun:test";
export function square(x: number) { return x * x; }
for (const x of [3, 4]) test("a pool " + x, async () => {
  await using pool = await AsyncPool.open(1);
  expect(await pool.async(square, x)).toBe(x * x + Number(process.env.WRONG));
});`,
    );
    // What a test may take is for rank 0 to keep to: the others wait for it.
    const tests = (ms: number) => `-n 1 ${BUN} test --timeout ${ms} ./job.test.ts`;
    const start = launch(family, 1).slice(0, -2).join(" ");
    const command = `${start} ${tests(50_000)} : ${tests(1)}`;
    const good = await lab.run(command, { ...AS_ROOT, WRONG: "0" });
    expect({ exitCode: good.exitCode, passed: good.stderr.match(/\d+ pass/)?.[0] }).toEqual({
      exitCode: 0,
      passed: "2 pass",
    });
    expect((await lab.run(command, { ...AS_ROOT, WRONG: "1" })).exitCode).not.toBe(0);
  });
});

test("BSYNC_ variables without a launcher", async () => {
  lab.write("open.ts", FILES["inner.ts"]);
  for (const word of ["true", "yes", "1"]) {
    const { stderr } = await lab.run("bun open.ts", { BSYNC_USE_MPI: word });
    expect(stderr).toContain(`Cannot use MPI as BSYNC_USE_MPI=${word} says`);
  }
  const silent = { BSYNC_USE_MPI: " ", BSYNC_SPIN_US: " ", BSYNC_DEBUG: "off" };
  const { stdout, stderr } = await lab.run("bun open.ts", silent);
  expect({ stdout, stderr }).toEqual({ stdout: "inner 5\n", stderr: "" });
});
