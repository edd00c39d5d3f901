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
