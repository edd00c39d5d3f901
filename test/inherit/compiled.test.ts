/** Compiled programs: their own arguments on every worker, no orphans, and an executable that goes elsewhere. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { AS_ROOT, mpirunCommand } from "../mpi/launch.ts";
import { testsUnder } from "../setup/drawn.ts";
import { drawnFamilies } from "../setup/drawn.ts";
import { Lab } from "./lab.ts";

setDefaultTimeout(60_000);

const PROGRAM = `import { AsyncPool, task } from "bsync";
import { renameSync, rmSync, writeFileSync } from "node:fs";
const [, , deed, ...args] = process.argv;
if (deed === undefined) process.exit(2);
const see = task("see", () => JSON.stringify([process.argv.slice(2), process.execArgv, Bun.main]));
const die = task("die", () => { process.kill(process.pid, "SIGKILL"); });
const started = () => Bun.spawn(["sleep", "600"]).pid;
const loop = task("loop", () => { console.log("pid", String(process.pid)); console.log("pid", String(started())); for (;;); });
const nap = task("nap", async () => { console.log("pid", String(process.pid)); console.log("pid", String(started())); await Bun.sleep(600_000); });
async function main() {
  await using pool = await AsyncPool.open(2, process.env.ISOLATE ? { isolate: true } : {});
  const here = JSON.stringify([process.argv.slice(2), process.execArgv, Bun.main]);
  if (deed === "see") return console.log(String((await pool.each(see)).every((there) => there === here)));
  if (deed === "end") { pool.async(loop); pool.async(nap); return await Bun.sleep(600_000); }
  const exe = process.execPath;
  if (deed === "move") renameSync(exe, exe + ".old");
  else rmSync(exe);
  if (deed === "replace") writeFileSync(exe, "#!/bin/sh\\nexit 3\\n", { mode: 0o755 });
  await Promise.allSettled(args.map(() => pool.async(die).get()));
  console.log(String((await pool.each(see)).length));
}
void main();
`;

let lab: Lab;
beforeAll(async () => {
  lab = new Lab({ "program.ts": PROGRAM });
  const build = "bun build --compile --target bun program.ts";
  await Promise.all([
    lab.run(`${build} --outfile plain`),
    lab.run(`${build} --minify --bytecode --compile-exec-argv=--smol --outfile small`),
  ]);
});
afterAll(() => lab[Symbol.dispose]());

/** Runs a program until its tasks have said who they are, ends it, and waits until none of them is there. */
async function endBy(signal: NodeJS.Signals, command: string[], env: Record<string, string>) {
  await using child = Bun.spawn(command, {
    cwd: lab.folder,
    env: { ...process.env, ...env, NODE_ENV: "" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "ignore",
    detached: true,
  });
  const pids: number[] = [];
  let text = "";
  for await (const chunk of child.stdout) {
    text += new TextDecoder().decode(chunk).replace(/\x1b\[\d*m/g, "");
    pids.splice(0, Infinity, ...[...text.matchAll(/pid (\d+)\n/g)].map(([, pid]) => Number(pid)));
    if (pids.length < 4) continue;
    child.kill(signal);
    break;
  }
  expect(pids.length).toBe(4);
  await child.exited;
  while (pids.some(runs)) await Bun.sleep(5);
}

/** Whether a process is there, and no mere remains of one. */
function runs(pid: number): boolean {
  const { stdout } = Bun.spawnSync(["ps", "-o", "stat=", "-p", String(pid)]);
  return /^[^Z\s]/.test(stdout.toString().trim());
}

describe.each(["plain", "small"])("%s", (name) => {
  test.each([
    ["see"],
    ["see", "--smol", "--", "-x"],
    ["see", "--no-orphans", "--preload", "no.ts"],
  ])("arguments are the program's own: %j", async (...args) => {
    expect(await lab.run(`./${name} ${args.join(" ")}`)).toEqual({
      exitCode: 0,
      stdout: "true\n",
      stderr: "",
    });
  });

  test.each(["SIGTERM", "SIGKILL"] as const)(
    "%s leaves neither workers nor what their tasks have started",
    (signal) => endBy(signal, [lab.path(name), "end"], {}),
  );
});

test.each(["move", "delete", "replace"])("an executable that goes elsewhere: %s", async (deed) => {
  const { stdout, stderr } = await lab.run(`cp small ${deed} && ./${deed} ${deed} 0 1`);
  expect({ stdout, stderr }).toEqual({ stdout: "2\n", stderr: "" });
});

test.each(["SIGTERM", "SIGKILL"] as const)("a program that is not compiled: %s", (signal) =>
  endBy(signal, [process.execPath, "program.ts", "end"], {}),
);

test("a pool in a Worker of a compiled program is refused", async () => {
  lab.write(
    "main.ts",
    `const worker = new Worker("./thread.ts"); worker.onmessage = (e) => { console.log(e.data); process.exit(0); };`,
  );
  lab.write(
    "thread.ts",
    `import { AsyncPool } from "bsync"; postMessage(await AsyncPool.open(1).then(() => "open", String));`,
  );
  await lab.run("bun build --compile main.ts thread.ts --outfile threaded");
  expect((await lab.run("./threaded")).stdout).toContain("in a Worker of a compiled program");
});

describe.each(drawnFamilies())("%s", (family) => {
  const test = testsUnder(family, 2);
  const launch = mpirunCommand(family, 3, "").slice(0, -3);

  test("arguments are the program's own on every rank, and on its children", async () => {
    for (const more of [{}, { ISOLATE: "1" }]) {
      const command = `${launch.join(" ")} ./small see --smol -- x`;
      const { stdout, exitCode } = await lab.run(command, { ...AS_ROOT, ...more });
      expect({ stdout, exitCode }).toEqual({ stdout: "true\n", exitCode: 0 });
    }
  });

  test("the end of mpirun leaves nothing", async () => {
    await endBy("SIGTERM", [...launch, "./plain", "end"], AS_ROOT);
    await endBy("SIGTERM", [...launch, "./plain", "end"], { ...AS_ROOT, ISOLATE: "1" });
  });
});
