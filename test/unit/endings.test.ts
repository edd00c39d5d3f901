import { expect, test } from "bun:test";
import { explainExit } from "../../src/os/exit.ts";

const CASES: readonly (readonly [number | null, string | null, RegExp])[] = [
  [0, null, /process\.exit\(0\)/],
  [7, null, /process\.exit\(7\)/],
  [null, "SIGKILL", /run out of memory .* or somebody killed it/],
  [null, "SIGSEGV", /native code/],
  [null, "SIGTRAP", /native code/],
  [null, "SIGBUS", /native code/],
  [null, "SIGTERM", /sent it SIGTERM/],
  [null, "SIGXCPU", /limit of CPU time/],
  [null, "SIGXFSZ", /limit for the size of a file/],
  [null, null, /nobody has told/],
];

test.each(CASES)("exit code %p, signal %p", (exitCode, signal, expected) => {
  expect(explainExit({ exitCode, signal })).toMatch(expected);
});
