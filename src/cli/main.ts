#!/usr/bin/env bun
/**
 * The command `bsync`. Its pools load this file on their workers as any main script, where it does
 * nothing: the functions that they call are in files of their own.
 */
if (import.meta.main) {
  const { run } = await import("./command.ts");
  process.exitCode = await run(process.argv.slice(2));
}
