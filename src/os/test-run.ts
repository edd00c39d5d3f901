/**
 * The ways in which `bun test` differs from other runs of a program: it ends tests that take long,
 * and itself.
 */
import { mainAtLoad } from "./natives.ts";
import { LONGEST_MS } from "./waits.ts";

/** The module of `bun test`; null if this is no run of a test file. */
export function testRunner(): typeof import("bun:test") | null {
  if (!Bun.isMainThread || !/[._](?:test|spec)\.[cm]?[jt]sx?$/.test(mainAtLoad)) return null;
  try {
    return require("bun:test") as typeof import("bun:test");
  } catch {
    // Some versions of Bun refuse it outside of a test run.
    return null;
  }
}

/**
 * Removes the time limit of tests that set none: they wait for another process, which has its own.
 */
export function allowLongTests(): void {
  testRunner()?.setDefaultTimeout(LONGEST_MS);
}

/**
 * Makes Bun call `exit` listeners at the end. It leaves them out in a test run that does not use
 * `node:test`: this uses some of it.
 */
export function callExitListeners(): void {
  if (testRunner() === null) return;
  const { mock } = require("node:test") as typeof import("node:test");
  mock.fn();
}
