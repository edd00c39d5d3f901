/** How jobs start, and what may keep them, or the farm, from it. */
import { expect, test } from "bun:test";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { folder } from "../setup.ts";
import { BSYNC, run } from "./play.ts";

const LIMIT_MS = 60_000;

test(
  "a job whose folder cannot be made fails, and none that was sent along with it",
  async () => {
    await using work = await folder();
    writeFileSync(join(work.path, "7"), "");
    const words = ["-j1", "--wd", "{}", "true # {}", ":::", "[1-20]"];
    const { stderr, exitCode } = await run([...BSYNC, ...words], work.path);
    expect(exitCode).toBe(1);
    expect(stderr).toStartWith("bsync multi: 1 of 20 jobs failed\n  job 7: EEXIST");
  },
  LIMIT_MS,
);

test(
  "a script that names no interpreter is the shell's",
  async () => {
    await using work = await folder();
    writeFileSync(join(work.path, "script"), "echo $# $1\n");
    chmodSync(join(work.path, "script"), 0o755);
    const words = ["-k", "./script", ":::", "a", "b  c"];
    const { stdout, exitCode } = await run([...BSYNC, ...words], work.path);
    expect([stdout, exitCode]).toEqual(["1 a\n1 b c\n", 0]);
  },
  LIMIT_MS,
);

test(
  "the writer of a named pipe has one reader, that of its values",
  async () => {
    await using work = await folder();
    const script = `mkfifo pipe; { seq 3 > pipe; echo $? >&2; } & "$@" -k -a pipe echo; wait`;
    const { stdout, stderr } = await run(["bash", "-c", script, "", ...BSYNC], work.path);
    expect([stdout, stderr]).toEqual(["1\n2\n3\n", "0\n"]);
  },
  LIMIT_MS,
);

test(
  "an input that has not ended, and a delay, keep no farm that has",
  async () => {
    await using work = await folder();
    // The input ends once the farm has said how it ended.
    const held = `mkfifo in; exec 3<>in; echo a >&3; "$@" --halt now,done=1 echo < in; echo $?`;
    const halted = await run(["bash", "-c", held, "", ...BSYNC], work.path);
    expect(halted.stdout).toBe("a\n0\n");
    const script = "touch $PARALLEL_SEQ # {}";
    const child = Bun.spawn([...BSYNC, "-j1", "--delay", "1h", script, ":::", "1", "2"], {
      cwd: work.path,
      stdio: ["ignore", "ignore", "ignore"],
    });
    while (!(await Bun.file(join(work.path, "1")).exists())) await Bun.sleep(20);
    child.kill("SIGINT");
    expect(await child.exited).toBe(130);
  },
  LIMIT_MS,
);
