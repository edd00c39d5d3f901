/**
 * `bun test`, where it plays a part that other runs of a program do not have: it ends tests that
 * take long, and itself.
 */
import { mainAtLoad } from "./natives.ts";
import { LONGEST_MS } from "./timers.ts";

/** The most that a test may have, in ms. */

/** Its module; null where this is no run of a test file. */
export function testRunner(): typeof import("bun:test") | null {
  if (!Bun.isMainThread || !/[._](?:test|spec)\.[cm]?[jt]sx?$/.test(mainAtLoad)) return null;
  try {
    return require("bun:test") as typeof import("bun:test");
  } catch {
    // Versions of Bun refuse it outside of a test run.
    return null;
  }
}

/**
 * From here on tests that name no time limit of their own have none: they wait for another process,
 * which has its own.
 */
export function allowLongTests(): void {
  testRunner()?.setDefaultTimeout(LONGEST_MS);
}

/**
 * Has `exit` listeners called at the end, which Bun leaves out in a test run that uses nothing of
 * `node:test`: this uses some of it.
 */
export function callExitListeners(): void {
  if (testRunner() === null) return;
  const { mock } = require("node:test") as typeof import("node:test");
  mock.fn();
}
