/** `bun test`, where it plays a part that other runs of a program do not have: it ends tests that take long, and itself. */

import { mainAtLoad } from "./natives.ts";

/** The most that a test may have, in ms. */
const LONG_MS = 2 ** 31 - 1;

/** Whether this process may be a run of `bun test`, which sets that for itself, and for all that it starts. */
function mayBeTestRun(): boolean {
  return Bun.isMainThread && process.env["NODE_ENV"] === "test";
}

/** From here on tests that name no time limit of their own have none: they wait for another process, which has its own. */
export function allowLongTests(): void {
  if (!mayBeTestRun()) return;
  try {
    const { setDefaultTimeout } = require("bun:test") as typeof import("bun:test");
    setDefaultTimeout(LONG_MS);
  } catch {
    // It is no test run.
  }
}

/**
 * Has `exit` listeners called at the end, which Bun leaves out in a test run that uses nothing of `node:test`: this
 * uses some of it.
 */
export function callExitListeners(): void {
  if (!mayBeTestRun() || !isTestFile(mainAtLoad)) return;
  const { mock } = require("node:test") as typeof import("node:test");
  mock.fn();
}

function isTestFile(path: string): boolean {
  return /[._](?:test|spec)\.[cm]?[jt]sx?$/.test(path);
}
