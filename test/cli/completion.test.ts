import { expect, test } from "bun:test";
import { run } from "../mpi/launch.ts";
import { bsync } from "./setup.ts";

/** What bash offers for the last of these words. */
async function offered(...words: string[]): Promise<string[]> {
  const { stdout: script } = await bsync(["completion", "bash"]);
  const set = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})`;
  const ask = `${script}\n${set}; COMP_CWORD=${words.length - 1}; _bsync; echo "\${COMPREPLY[@]}"`;
  const { stdout } = await run(["bash", "-c", ask]);
  return stdout.split(/\s+/).filter(Boolean);
}

test("bash completes commands, and their options up to another command", async () => {
  expect(await offered("bsync", "m")).toEqual(["multi"]);
  expect(await offered("bsync", "multi", "--res")).toEqual([
    "--results",
    "--resume",
    "--resume-failed",
  ]);
  expect(await offered("bsync", "doctor", "--js")).toEqual(["--json"]);
  expect(await offered("bsync", "completion", "f")).toEqual(["fish"]);
  expect(await offered("bsync", "multi", "--", "gzip", "--")).toEqual([]);
});

test("there are scripts for zsh and fish, with all options", async () => {
  for (const shell of ["zsh", "fish"]) {
    const { stdout, exitCode } = await bsync(["completion", shell]);
    expect([exitCode, stdout.includes("resume-failed"), stdout.includes("json")]).toEqual([
      0,
      true,
      true,
    ]);
    if (Bun.which(shell) === null) continue;
    const { exitCode: syntax, stderr } = await run([shell, "-n", "-c", stdout]);
    expect([syntax, stderr]).toEqual([0, ""]);
  }
});

test("another shell is refused", async () => {
  const { exitCode, stderr } = await bsync(["completion", "tcsh"]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain("Allowed choices are bash, zsh, fish");
});
